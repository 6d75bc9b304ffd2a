"""The hub's own address in JSON."""

from tests.admin.test_users_api import Case


class OriginTests(Case):
    def put(self, origin: str | None) -> dict[str, object]:
        found = self.send("PUT", "/api/settings/hub-origin", "hub.origin", hub_origin=origin)
        assert isinstance(found, dict)
        return found

    def test_choose_and_go_back(self) -> None:
        before = self.tab.get_json("/api/settings/hub-origin")
        self.assertEqual(
            before,
            {
                "hub_origin": None,
                "resolved_issuer": "http://hub.test",
                "source": "none",
                "origins": ["http://hub.test", "http://localhost"],
            },
        )
        chosen = self.put("https://Notes.example/")
        self.assertEqual((chosen["resolved_issuer"], chosen["source"]), ("https://notes.example", "settings"))
        self.assertEqual(self.put(None), before)
        self.assertEqual(self.door.origin_changes, ["https://notes.example", "http://hub.test"])

    def test_invalid_addresses_are_refused(self) -> None:
        for wrong in ("nonsense", "https://a/b", 3):
            self.put(wrong)  # type: ignore[arg-type]
            self.assertEqual(self.answer.status, 400)
        self.assertEqual(self.door.origin_changes, [])
