"""The smallest reference module as a process."""

from tests.support.examples import ExampleTestCase


class HelloTests(ExampleTestCase):
    """`examples/hello` follows the module protocol."""

    async def test_answers_below_its_mount_and_ends_on_term(self) -> None:
        hello = await self.serve("hello/server.ts")
        page = await hello.ask("GET", "/hello")
        health = await hello.ask("GET", "/hello/health")
        info = (await hello.ask("GET", "/hello/.parachute/info")).json()
        icon = await hello.ask("GET", info["iconUrl"])
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertIn(b"<h1>Hello</h1>", page.body)
        self.assertEqual((await hello.ask("GET", "/hello/")).body, page.body)
        self.assertEqual((health.status, health.json()), (200, {"status": "ok"}))
        self.assertEqual(info["name"], "parachute-hello")
        self.assertEqual((icon.status, icon.headers["content-type"]), (200, "image/svg+xml"))
        self.assertEqual((await hello.ask("GET", "/hellox")).status, 404)
        self.assertEqual(await hello.process.signal("TERM"), 0)
