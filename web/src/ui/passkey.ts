/** Passkeys in this browser (Web Authentication). */
import type { Hub } from "../api/hub"

/** Whether this browser can use passkeys at all. */
export function canSign(): boolean {
  return isSecureContext && typeof globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON === "function"
}

/** Confirms an operation with a passkey. Resolves to the proof, or null when the person closes the browser's dialog. */
export async function proveByPasskey(hub: Hub, operation: string): Promise<string | null> {
  const options = await hub.call<PublicKeyCredentialRequestOptionsJSON>("POST", "/api/account/step-up/options", {
    operation,
  })
  let passkey: string
  try {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
    passkey = JSON.stringify(await navigator.credentials.get({ publicKey }))
  } catch (failure) {
    if (failure instanceof DOMException && failure.name === "NotAllowedError") return null
    throw failure
  }
  return (await hub.call<{ proof: string }>("POST", "/api/account/step-up", { operation, passkey })).proof
}
