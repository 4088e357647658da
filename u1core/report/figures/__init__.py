"""The report's pictures: numbers that SQL computed in, one self-contained SVG data URI out.

Nothing here computes a statistic. Angles come in radians and are drawn in degrees, counter-clockwise from
the image's x axis (right), y up. One module per subject; `canvas` has what they share.
"""
