import { useSignal } from "@preact/signals"
import { Problem } from "../core/problem.ts"
import { begin } from "../remote/oauth.ts"
import { save } from "../remote/session.ts"
import { checkKey } from "../remote/vault.ts"
import { Button } from "./parts.tsx"
import { attempt, desk, openDesk } from "./state.ts"

/** The page before there is a vault: connect through the hub, or with a key. */
export function Connect({ waiting }: { waiting: number }) {
  const withKey = useSignal(false)
  const vault = useSignal("default")
  const key = useSignal("")
  const useKey = async (event: Event) => {
    event.preventDefault()
    if (!key.value.trim().startsWith("pvt_")) throw new Problem("A vault key begins with pvt_. Copy the whole key.")
    const session = { kind: "key", vault: vault.value.trim(), key: key.value.trim() } as const
    await checkKey(session.vault, session.key)
    save(session)
    // With notes already open, everything begins anew with this access.
    if (desk.value) location.reload()
    else await openDesk()
  }
  return (
    <section id="connect" aria-labelledby="connect-title">
      <h2 id="connect-title">Connect Notes to your vault</h2>
      <p>Your notes are stored in a vault on this hub and nowhere else. Your hub will ask you to allow access.</p>
      {waiting > 0 && (
        <p>
          {waiting === 1 ? "One note waits" : `${waiting} notes wait`} on this device. Connect to the same vault and it
          is saved.
        </p>
      )}
      <Button
        class="primary"
        onClick={() =>
          begin().catch((error) => {
            withKey.value = true
            throw error
          })
        }
      >
        Connect
      </Button>
      <details open={withKey.value}>
        <summary>Use a vault key instead</summary>
        <form onSubmit={(event) => void attempt(() => useKey(event))}>
          <label for="key-vault">Vault</label>
          <input
            id="key-vault"
            value={vault.value}
            onInput={({ currentTarget }) => (vault.value = currentTarget.value)}
            required
            pattern="[a-z0-9_\-]+"
            autocapitalize="none"
            spellcheck={false}
          />
          <label for="key">Key, starts with pvt_</label>
          <input
            id="key"
            type="password"
            value={key.value}
            onInput={({ currentTarget }) => (key.value = currentTarget.value)}
            required
            autocomplete="off"
          />
          <button type="submit">Use this key</button>
          <p class="quiet">
            The vault's first key was created with it. It is on the hub's disk, in{" "}
            <code>vault/data/default/initial-key</code>.
          </p>
        </form>
      </details>
    </section>
  )
}
