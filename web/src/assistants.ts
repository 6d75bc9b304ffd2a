/** Assistants that can be connected, with the steps and links of their own documents. Pure: no DOM, no network. */
import type { App } from "./api/shapes"

export interface Assistant {
  /** Its place below /admin/connect. */
  id: string
  name: string
  /** Where it is used. */
  place: string
  /** It reaches the hub from the internet, so an address of this machine or of a private network does not work. */
  fromOutside: boolean
  steps: readonly Step[]
  /** Opens the right page or program; null where there is no such link. */
  link: { label: string; url: (name: string, address: string) => string } | null
  /** How its consent can be told from others: its verified domain, or the name that it gives. */
  domain: RegExp | null
  called: RegExp
}

/** A sentence, and what to copy for it. */
export interface Step {
  text: string
  copy?: (name: string, address: string) => string
  copied?: string
}

const ADDRESS: Step = { text: "Copy the address of your notes.", copy: (_, address) => address, copied: "Address" }
const ALLOW: Step = { text: "It opens this hub. Sign in and choose what it may do." }

export const ASSISTANTS: readonly Assistant[] = [
  {
    id: "claude",
    name: "Claude",
    place: "On the web, the desktop and the phone",
    fromOutside: true,
    steps: [
      ADDRESS,
      { text: "In Claude, open the connectors in its settings and choose “Add custom connector”." },
      { text: "Paste the address, and press Add, then Connect." },
      ALLOW,
    ],
    link: { label: "Open Claude’s connectors", url: () => "https://claude.ai/customize/connectors" },
    domain: /(^|\.)claude\.(ai|com)$/,
    called: /^claude(?!.*code)/i,
  },
  {
    id: "claude-code",
    name: "Claude Code",
    place: "In a terminal",
    fromOutside: false,
    steps: [
      {
        text: "Run this once in a terminal.",
        copy: (name, address) => `claude mcp add --transport http ${name} ${address}`,
        copied: "Command for Claude Code",
      },
      { text: "Start Claude Code, type /mcp, and choose it from the list to sign in." },
      ALLOW,
    ],
    link: null,
    domain: null,
    called: /claude[ -]?code/i,
  },
  {
    id: "chatgpt",
    name: "ChatGPT",
    place: "On the web",
    fromOutside: true,
    steps: [
      ADDRESS,
      { text: "In ChatGPT, open Settings, then Apps and connectors, and turn on Developer mode under Advanced." },
      { text: "Choose Create, give it a name, and paste the address. Leave the sign-in at OAuth." },
      ALLOW,
    ],
    link: { label: "Open ChatGPT’s settings", url: () => "https://chatgpt.com/#settings/Connectors" },
    domain: /(^|\.)(chatgpt|openai)\.com$/,
    called: /chatgpt|openai/i,
  },
  {
    id: "cursor",
    name: "Cursor",
    place: "In the editor",
    fromOutside: false,
    steps: [
      { text: "Press “Add to Cursor”. Cursor opens and shows the address: choose Install." },
      { text: "In Cursor’s settings under MCP, press “Needs login”." },
      ALLOW,
    ],
    link: { label: "Add to Cursor", url: cursor },
    domain: /(^|\.)cursor\.(com|sh)$/,
    called: /cursor/i,
  },
  {
    id: "vscode",
    name: "VS Code",
    place: "In the editor, with Copilot",
    fromOutside: false,
    steps: [
      { text: "Press “Add to VS Code”. It opens and shows the address: choose Install." },
      { text: "It asks whether this hub may sign you in: choose Allow." },
      ALLOW,
    ],
    link: { label: "Add to VS Code", url: vscode },
    domain: /(^|\.)(vscode\.dev|visualstudio\.com)$/,
    called: /visual studio code|vs ?code/i,
  },
  {
    id: "codex",
    name: "Codex",
    place: "In a terminal",
    fromOutside: false,
    steps: [
      {
        text: "Run this once in a terminal.",
        copy: (name, address) => `codex mcp add ${name} --url ${address}`,
        copied: "Command to add it to Codex",
      },
      {
        text: "Then sign in with this. A browser opens.",
        copy: (name) => `codex mcp login ${name}`,
        copied: "Command to sign in with Codex",
      },
      ALLOW,
    ],
    link: null,
    domain: null,
    called: /codex/i,
  },
  {
    id: "other",
    name: "Another app",
    place: "Anything that speaks MCP",
    fromOutside: false,
    steps: [
      ADDRESS,
      { text: "In the app, add an MCP server of the kind “Streamable HTTP” or “remote”, and paste the address." },
      ALLOW,
      { text: "An app that cannot open a browser takes a token instead: create one under Tokens." },
    ],
    link: null,
    domain: null,
    called: /^/,
  },
]

/** Cursor, "MCP install links": the configuration in base64. */
function cursor(name: string, address: string): string {
  const config = encodeURIComponent(btoa(JSON.stringify({ url: address })))
  return `cursor://anysphere.cursor-deeplink/mcp/install?name=${encodeURIComponent(name)}&config=${config}`
}

/** VS Code, "Create an MCP installation URL". */
function vscode(name: string, address: string): string {
  return `vscode:mcp/install?${encodeURIComponent(JSON.stringify({ name, type: "http", url: address }))}`
}

/** What the assistant calls the vault: the default one is known by the hub's name. */
export function nameIn(vault: string): string {
  return vault === "default" ? "parachute" : `parachute-${vault}`
}

/** The consent of this assistant for this vault that holds now, the last used first; null without one. */
export function connected(assistant: Assistant, vault: string, apps: readonly App[]): App | null {
  const own = (app: App) =>
    app.domain && assistant.domain ? assistant.domain.test(app.domain) : assistant.called.test(app.name ?? "")
  const found = apps.filter((app) => app.active && app.vaults.includes(vault) && own(app))
  return found.sort((a, b) => Number(b.last_used ?? 0) - Number(a.last_used ?? 0))[0] ?? null
}

/** Whether only this machine or its private network reaches the address: plain http, or a name without a dot. */
export function isPrivate(address: string): boolean {
  const { protocol, hostname } = new URL(address)
  return protocol === "http:" || !hostname.includes(".") || hostname.endsWith(".local") || hostname.endsWith(".ts.net")
}
