from twisted.trial.unittest import SynchronousTestCase

from tools.statements import statements

SOURCE = '''
"""A module."""
LIMIT = 3
"""What it means."""

def double(x):
    """A docstring."""
    if x:
        return 2 * x
    return "text"
'''


class StatementsTests(SynchronousTestCase):
    def test_texts_that_describe_code_do_not_count(self) -> None:
        """An assignment, a function, an if and two returns."""
        self.assertEqual(statements(SOURCE), 5)
