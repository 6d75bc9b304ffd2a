/** Audit log entries in plain words. */

const WORDS: Record<string, string> = {
  "owner-created": "set up this hub",
  "owner-reset": "regained access as the owner",
  "user-created": "created the account of",
  "user-deleted": "removed",
  "password-changed": "changed their password",
  "password-reset": "reset the password of",
  "vaults-changed": "changed the vaults of",
  "role-admin": "gave owner rights to",
  "role-member": "removed owner rights from",
  "second-factor": "entered a code",
  "second-factor-on": "turned on a second factor",
  "second-factor-off": "turned off their second factor",
  "second-factor-removed": "turned off the second factor of",
  "recovery-codes-renewed": "created new recovery codes",
  "session-renewed": "signed in again",
  "session-ended": "signed out a browser",
  "other-sessions-ended": "signed out all other browsers",
  "first-sign-in": "signed in for the first time",
  "sign-in": "signed in",
  "sign-out": "signed out",
  invited: "invited",
  "invite-redeemed": "accepted an invitation",
  "invite-revoked": "revoked an invitation",
  "origin-changed": "changed the public address to",
  confirm: "confirmed with their password",
  "module-install": "installed",
  "module-upgrade": "updated",
  "module-upgrade-all": "updated all modules",
  "module-rollback": "rolled back the update of",
  "module-restore-data": "restored earlier data of",
  "module-uninstall": "removed",
  "module-delete-data": "deleted the data of",
  "module-start": "started",
  "module-stop": "stopped",
  "module-restart": "restarted",
  "module-adopt": "kept a module that was here before:",
  "module-heal-port": "fixed the port of",
  "module-config": "changed the settings of",
  "module-settings": "changed start or update settings of",
  "vault-made": "created the vault",
  "mint-token": "created a token",
  "revoke-token": "revoked a token",
  "rotate-operator": "replaced the command-line token",
  "rotate-key": "rotated the signing key",
  "open-settings": "opened the settings page of",
  "module-token": "let a page change the settings of",
  "vault-admin-token": "let a page change the vault",
  "vault-token": "created a token for the vault",
  "host-admin-token": "created a token to manage the hub",
  "account-token": "created a token for their account",
  "app-disconnected": "disconnected an app",
}

const REFUSED: Record<string, string> = {
  "sign-in": "tried to sign in and was refused",
  confirm: "entered a wrong password",
  "second-factor": "entered a wrong code",
}

/** `sign-in` -> `signed in`. Unknown actions keep their name, with spaces. */
export function actWords(action: string, outcome: string): string {
  const words = WORDS[action] ?? action.replaceAll("-", " ")
  return outcome === "ok" ? words : (REFUSED[action] ?? `was not allowed: ${words}`)
}
