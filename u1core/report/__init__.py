"""The report: one HTML file from the lake's views, pictures inside, that opens offline.

write: the file; data: the answers, read from views and only read; words, blocks: numbers and parts of a page.
figures: pictures as SVG; sections: what stands where, and in which words.
"""
