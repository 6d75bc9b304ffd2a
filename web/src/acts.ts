/** The words of the audit record as a person would say them. */

const WORDS: Record<string, string> = {
  "owner-created": "set up this hub",
  "owner-reset": "took this hub back as its owner",
  "user-created": "made the account of",
  "user-deleted": "removed",
  "password-changed": "changed their password",
  "password-reset": "set a first password for",
  "vaults-changed": "changed the vaults of",
  "role-admin": "made an owner of",
  "role-member": "took the owner's rights from",
  "second-factor": "gave a code",
  "second-factor-on": "switched on a second factor",
  "second-factor-off": "switched off their second factor",
  "second-factor-removed": "removed the second factor of",
  "recovery-codes-renewed": "made new recovery codes",
  "session-renewed": "signed in anew",
  "session-ended": "signed out a browser",
  "other-sessions-ended": "signed out all other browsers",
  "first-sign-in": "signed in for the first time",
  "sign-in": "signed in",
  "sign-out": "signed out",
  invited: "invited",
  "invite-redeemed": "accepted an invitation",
  "invite-revoked": "took an invitation back",
  "origin-changed": "changed the public address to",
  confirm: "confirmed with their password",
  "module-install": "installed",
  "module-upgrade": "updated",
  "module-upgrade-all": "updated all modules",
  "module-rollback": "took back the update of",
  "module-restore-data": "brought back the data of",
  "module-uninstall": "removed",
  "module-delete-data": "deleted the data of",
  "module-start": "started",
  "module-stop": "stopped",
  "module-restart": "restarted",
  "module-heal-port": "put right the port of",
  "module-adopt": "kept a module that was here before:",
  "module-config": "changed the settings of",
  "module-settings": "changed how the hub runs",
  "vault-made": "made a vault",
  "mint-token": "made a token",
  "revoke-token": "ended a token",
  "rotate-operator": "renewed the token of the command line",
  "rotate-key": "renewed the signing key",
  "open-settings": "opened the own settings page of",
  "module-token": "let a page change the settings of",
  "vault-admin-token": "let a page change the vault",
  "vault-token": "made a token for the vault",
  "host-admin-token": "made a token that runs the hub",
  "account-token": "made a token for their account",
  "app-disconnected": "disconnected an app",
}

const REFUSED: Record<string, string> = {
  "sign-in": "tried to sign in and was refused",
  confirm: "gave a wrong password",
  "second-factor": "gave a wrong code",
}

/** `sign-in` -> `signed in`; an unknown word as it is, with spaces. */
export function actWords(action: string, outcome: string): string {
  const words = WORDS[action] ?? action.replaceAll("-", " ")
  return outcome === "ok" ? words : (REFUSED[action] ?? `was refused: ${words}`)
}
