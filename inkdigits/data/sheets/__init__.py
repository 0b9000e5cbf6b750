"""Sheets of boxes that people write digits into: printed, photographed, and cut into pictures.

A sheet has ten rows of ten boxes, one row a digit, and a marker at each corner. The path of one
through the modules:

    layout (where everything is) -> printing -> a pen, a camera -> markers (where its corners are)
    -> rectifying (seen straight on) -> cutting (boxes, and which have ink) -> collecting (a folder)

Nothing here needs more than NumPy, Pillow and the reader.
"""
