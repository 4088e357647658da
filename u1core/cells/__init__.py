"""One cell of the grid, model x data set x variant, from pixels to committed rows; steps in order.

cell: what it is, its key; variants: what a control changes; open_cell: it beside its images and its lake.
forward, batches, batch_size: the network over batches; canary: two pictures, alone and in a batch.
own_head: its answers, on the classes that it has by name. extract, parts: rows into the lake, part by part.
location_maps: kept for the search by place; search: neighbours; finish: frames, angles, energy maps, commit.
planes, summaries: what a cell comes to, once; beyond_bank: theta_image beyond the pixel bank. cost: what it
will take; examine: whether a network is fit.
"""
