"""The reader of Dockerfiles."""

from twisted.trial.unittest import SynchronousTestCase

from tests.live.container.dockerfile import Copy, NotUnderstood, Run, ignore_patterns, is_ignored, parse

_EXAMPLE = """\
# A comment
ARG DEBIAN=debian:trixie-slim
FROM ${DEBIAN} AS base
ENV A=1 \\
    B="two words"
RUN one \\
 # between
 && two
FROM base
WORKDIR /app
COPY --from=base /x /y
COPY a b ./
RUN three
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s CMD ["check"]
ENTRYPOINT ["tini", "--"]
CMD ["serve"]
"""


class ParseTests(SynchronousTestCase):
    """`parse`."""

    def test_stages_carry_what_they_inherit(self) -> None:
        found = parse(_EXAMPLE)
        self.assertEqual(list(found.stages), ["base", "final"])
        self.assertEqual(found.stages["base"].base, "debian:trixie-slim")
        self.assertEqual(found.final.config.env, {"A": "1", "B": "two words"})
        self.assertEqual(found.final.config.workdir, "/app")
        self.assertEqual((found.final.config.entrypoint, found.final.config.cmd), (("tini", "--"), ("serve",)))
        self.assertEqual(found.final.config.healthcheck, ("check",))

    def test_steps_know_the_place_where_they_stand(self) -> None:
        found = parse(_EXAMPLE)
        env = {"A": "1", "B": "two words"}
        self.assertEqual(
            [step.command.split() for step in found.stages["base"].steps if isinstance(step, Run)],
            [["one", "&&", "two"]],
        )
        self.assertEqual(
            found.final.steps,
            (
                Copy(("/x",), "/y", "base"),
                Copy(("a", "b"), "/app/", None),
                Run("three", env, "/app"),
            ),
        )

    def test_what_it_does_not_know_is_refused(self) -> None:
        table = [
            "RUN x",
            "",
            "FROM a\nADD x /y",
            "FROM a\nRUN --mount=type=cache x",
            "FROM a\nRUN <<EOF",
            "FROM a\nCOPY --chown=1 x /y",
            "FROM a\nCMD serve",
            "FROM a\nENV A=$B",
            "FROM ${UNKNOWN}",
            "FROM a AS b AS c",
        ]
        for text in table:
            self.assertRaises(NotUnderstood, parse, text)


class IgnoreTests(SynchronousTestCase):
    """`.dockerignore`."""

    def test_the_last_match_wins_and_folders_hold_for_what_is_in_them(self) -> None:
        patterns = ignore_patterns("# all\n*\n!web\n\n**/node_modules\nweb/dist\n")
        table = {
            "other": True,
            "web/src/a.ts": False,
            "web/node_modules/b/c.js": True,
            "web/dist/d.js": True,
            "web/src/node_modules/e.js": True,
        }
        self.assertEqual({path: is_ignored(path, patterns) for path in table}, table)
