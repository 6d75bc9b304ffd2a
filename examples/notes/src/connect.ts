// The page before there is a vault: connect through the hub, or with a key.

import { attempt, byId, onClick, Problem } from "./dom.ts";
import { begin } from "./oauth.ts";
import { save } from "./session.ts";

export function showConnect(connected: () => void): void {
  byId("desk").hidden = true;
  byId("disconnect").hidden = true;
  byId("connect").hidden = false;
  bind(connected);
}

let bind = (connected: () => void): void => {
  bind = () => undefined;
  onClick("connect-hub", async () => {
    try {
      await begin();
    } catch (problem) {
      byId<HTMLDetailsElement>("key-part").open = true;
      throw problem;
    }
  });
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void attempt(() => {
      const key = byId<HTMLInputElement>("key").value.trim();
      if (!key.startsWith("pvt_")) throw new Problem("A key of the vault begins with pvt_. Copy the whole key.");
      save({ kind: "key", vault: byId<HTMLInputElement>("key-vault").value.trim(), key });
      byId<HTMLInputElement>("key").value = "";
      connected();
    });
  });
};
