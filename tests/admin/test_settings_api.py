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
                "former": [],
            },
        )
        chosen = self.put("https://Notes.example/")
        self.assertEqual((chosen["resolved_issuer"], chosen["source"]), ("https://notes.example", "settings"))
        former = {"origin": "https://notes.example", "answers_until": "2027-02-14T08:00:00Z"}
        self.assertEqual(self.put(None), {**before, "former": [former]})
        self.assertEqual(self.door.origin_changes, ["https://notes.example", "http://hub.test"])

    def test_a_change_is_told_before_it_is_made(self) -> None:
        """What is to be renewed comes first; the address that is given up answers for 30 days."""
        self.put("https://notes.example")
        self.send("POST", "/api/invites", "user.invite")
        path = "/api/settings/hub-origin/plan?hub_origin="
        told = self.tab.get_json(f"{path}https://New.example/")
        self.assertEqual((told["from"], told["to"]), ("https://notes.example", "https://new.example"))
        self.assertEqual(told["renew"], {"apps": ["Claude"], "invitations": 1})
        self.assertEqual(self.door.origin.issuer(), "https://notes.example")
        self.assertEqual(self.tab.get_json(path)["to"], "http://hub.test")
        changed = self.put("https://new.example")
        until = told["from_answers_until"]
        self.assertEqual(changed["former"], [{"origin": "https://notes.example", "answers_until": until}])
        self.assertEqual(self.tab.get_json(f"{path}nonsense")["error"], "invalid_origin")

    def test_invalid_addresses_are_refused(self) -> None:
        for wrong in ("nonsense", "https://a/b", 3):
            self.put(wrong)  # type: ignore[arg-type]
            self.assertEqual(self.answer.status, 400)
        self.assertEqual(self.door.origin_changes, [])
