"""Built days in the shapes that other programs read: hourly CSV for R, NetCDF by the CF conventions.

Belongs here: which built days an export takes, and what a shape makes of their rows. Does not: days that are not built
(an export says the same tomorrow), options of the command (`cli`), the tables themselves (`storage`).
"""
