"""The commands of the command line: a file a topic, each command's arguments beside the command.

A new command is a function with `@command(...)` in one of these files; nothing else changes.
`python -m grok --help` lists the commands in the order in which the files are imported here.
"""

from grok.commands import tasks, training, measuring, drawing  # noqa: F401, I001
