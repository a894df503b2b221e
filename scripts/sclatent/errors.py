"""The two kinds of error that the project expects."""


class UserError(Exception):
    """Something the user can mend; its text is one line that names the place, the mistake and the cure."""


class TrainingError(Exception):
    """A model did not come out of its training; its text is the reason that the tables of results show."""
