/** Audit log entries in plain words. */

const WORDS: Record<string, string> = {
  "owner-created": "set up this hub",
  "owner-reset": "regained access as the owner",
  "user-created": "created the account of",
  "user-deleted": "removed",
  locked: "locked everything",
  "notes-downloaded": "downloaded their notes",
  "name-changed": "changed their name",
  "password-changed": "changed their password",
  "password-reset": "reset the password of",
  "vaults-changed": "changed the vaults of",
  "role-admin": "gave owner rights to",
  "role-member": "removed owner rights from",
  "second-factor": "entered a code",
  "second-factor-on": "turned on a second factor",
  "second-factor-off": "turned off their second factor",
  "second-factor-removed": "turned off the second factor of",
  "passkey-added": "added a passkey:",
  "passkey-renamed": "renamed a passkey to",
  "passkey-removed": "removed a passkey:",
  "passkey-blocked": "used a passkey that somebody may have copied, now refused:",
  "recovery-codes-renewed": "created new recovery codes",
  "session-renewed": "signed in again",
  "session-ended": "signed out a browser",
  "phone-link-made": "made a link for a phone",
  "phone-link-refused": "refused a phone",
  "phone-signed-in": "signed in on a phone by a link",
  "reach-opened": "opened a way to the hub:",
  "reach-closed": "closed a way to the hub:",
  "reach-checked": "tried to reach the hub at",
  "other-sessions-ended": "signed out all other browsers",
  "first-sign-in": "signed in for the first time",
  "sign-in": "signed in",
  "sign-out": "signed out",
  invited: "invited",
  "invite-redeemed": "accepted an invitation",
  "invite-revoked": "revoked an invitation",
  "origin-changed": "changed the public address to",
  confirm: "confirmed that it is them",
  "module-install": "installed",
  "module-upgrade": "updated",
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
  "module-config-tested": "tested the settings of",
  "module-settings": "changed start or update settings of",
  "module-limits": "changed the limits of",
  "link-set": "linked to another machine:",
  "link-ended": "ended the link to another machine of",
  "link-renewed": "renewed the certificate for the other machine of",
  "module-move": "moved to another machine or back:",
  "invite-shown": "showed an invitation again",
  "vault-made": "created the vault",
  "vault-shared": "shared a vault:",
  "share-ended": "ended sharing a vault:",
  "vault-deletion-asked": "asked to delete in 30 days the vault",
  "vault-kept": "kept the vault",
  "vault-deleted": "deleted the vault",
  "trash-emptied": "emptied the trash of the vault",
  "quota-changed": "changed the room for",
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
  "app-disconnected": "disconnected the app",
  "app-approved": "let in the app",
  "app-removed": "removed the app",
  "channel-changed": "changed which releases are installed to",
  "operation-cancelled": "cancelled an operation",
  "problem-found": "noticed:",
  "problem-solved": "sees that this is over:",
  "problem-dismissed": "dismissed a problem",
  "problems-looked-for": "looked for problems",
  "problem-shown-again": "showed a dismissed problem again",
  "disk-cleared": "freed disk space",
  "log-size-changed": "changed the size of each log to",
  "backup-key-made": "created the recovery key of backups",
  "backup-key-confirmed": "confirmed the recovery sheet",
  "backup-key-removed": "removed the recovery key from this hub",
  "backup-place-added": "added a place for backups",
  "backup-place-removed": "removed a place for backups",
  "backup-place-tested": "tested a place for backups",
  "backup-made": "made a backup",
  "module-restored": "brought back from a backup:",
  "module-crashed": "saw a crash of",
  "module-parked": "stopped restarting",
  "module-held": "stopped",
  "hub-started": "started",
  "hub-restarted": "let the hub restart in place, as version",
  "hub-stopped": "was stopped",
  "app-connected": "connected the app",
  "app-refused": "refused the app",
  "backup-verified": "checked a backup",
  "backup-schedule-changed": "changed when backups run",
  "backup-downloaded": "downloaded a backup",
  "notice-destination-added": "added a destination of notices",
  "notice-destination-removed": "removed a destination of notices",
  "notice-tested": "tested a destination of notices",
  "notice-settings-changed": "changed which notices are sent",
  "restore-begun": "began to restore a backup",
  "restore-looked": "looked for backups to restore",
  "restore-cancelled": "cancelled a restore",
  restored: "restored the hub from a backup",
  "moved-in": "moved in from the",
  "move-undone": "went back to the older hub",
  "step-up": "confirmed with their password",
}

const REFUSED: Record<string, string> = {
  "sign-in": "tried to sign in and was refused",
  confirm: "entered a wrong password, or used a wrong passkey",
  "second-factor": "entered a wrong code",
  "app-key-reused": "was disconnected because an old key of it was used again, for",
  "problem-found": "found a problem:",
  "vault-deletion-asked": "tried to delete the vault",
  "module-crashed": "saw a crash of",
  "module-parked": "gave up restarting",
  "module-held": "does not let run:",
  "backup-verified": "checked a backup, which failed",
}

/** Verbs of WORDS as they follow "tried to". Of the others only the ending goes. */
const PLAIN: Record<string, string> = {
  began: "begin",
  brought: "bring",
  cancelled: "cancel",
  changed: "change",
  closed: "close",
  created: "create",
  deleted: "delete",
  emptied: "empty",
  freed: "free",
  gave: "give",
  invited: "invite",
  kept: "keep",
  made: "make",
  moved: "move",
  refused: "refuse",
  removed: "remove",
  renamed: "rename",
  replaced: "replace",
  restored: "restore",
  revoked: "revoke",
  rotated: "rotate",
  shared: "share",
  stopped: "stop",
  updated: "update",
  used: "use",
  went: "go",
}

/** `sign-in` -> `signed in`. Unknown actions keep their name, with spaces. */
export function actWords(action: string, outcome: string): string {
  const words = WORDS[action] ?? action.replaceAll("-", " ")
  if (outcome === "ok") return words
  if (REFUSED[action]) return REFUSED[action]
  if (!WORDS[action]) return `tried: ${words}`
  if (words.startsWith("tried")) return words
  return `tried to ${words.replace(/^\w+/, (verb) => PLAIN[verb] ?? verb.replace(/ed$/, ""))}`
}

const MEANS: Record<string, string> = {
  token: "with an access token",
  command: "with the parachute command",
}

/** How somebody did something, where that is worth saying. */
export function meansWords(means: string): string | null {
  return MEANS[means] ?? null
}

const START: Record<string, RegExp> = {
  "Sign-ins": /^(sign-|step-up|second-factor$|confirm$|session-|other-sessions|first-sign-in|phone-)/,
  Modules: /^(module-|link-|operation-|channel-|disk-)/,
  "Apps and tokens": /^(app-|.*-token$|rotate-|open-settings)/,
  People: /^(user-|owner-|role-|vaults-|invit|password-|recovery-|passkey-|second-factor-|name-|lock|notes-down)/,
  Backups: /^(backup-|restore)/,
  "The hub": /^(hub-|log-|origin-|reach-|problem|notice-|move|vault-(made|shared|kept|del)|share-|trash-|quota-)/,
}

/** The kinds of acts by which Activity filters. */
export const KINDS = Object.keys(START)

export const ACTIONS: readonly string[] = [...new Set([...Object.keys(WORDS), ...Object.keys(REFUSED)])]

/** The actions of one kind, for the API's filter. */
export function actionsOf(kind: string): string[] {
  const first = (action: string) => KINDS.find((name) => START[name]?.test(action))
  return ACTIONS.filter((action) => first(action) === kind)
}
