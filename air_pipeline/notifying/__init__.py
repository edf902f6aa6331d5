"""Telling a person what is not well, and when it is well again.

From the inside out: `deciding` (what is to be told now: pure), `messages` (in which words), `looking` (what holds now),
`sending` (webhooks and mail), `telling` (all of these in turn, and what is remembered in between).
"""
