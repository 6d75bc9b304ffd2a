/** Reads a flat JSON Schema as a form: text, numbers, switches and choices. */

export interface Property {
  type?: string | string[]
  title?: string
  description?: string
  default?: unknown
  enum?: unknown[]
  minimum?: number
  maximum?: number
  format?: string
  writeOnly?: boolean
  readOnly?: boolean
  properties?: Record<string, Property>
  /** Shown only while these other settings have one of these values. */
  "x-show-if"?: Record<string, unknown>
  /** The heading that it stands below. */
  "x-group"?: string
  /** Words for the values of `enum`. */
  "x-labels"?: Record<string, string>
}

export interface Schema {
  /** The module can try its settings. */
  "x-test"?: boolean
  properties?: Record<string, Property>
  required?: string[]
}

export type Values = Record<string, unknown>

/** Names of values that the hub never sends. */
const SECRET = /secret|password|passwd|token|api_?key|_key$|^key$|credential/i

/** Secrets are never sent to the browser. An empty field keeps the stored value. */
export function isSecret(name: string, property: Property): boolean {
  return property.writeOnly === true || property.format === "password" || SECRET.test(name)
}

/** Whether a setting applies, with what is in the form now: another one may make it pointless. */
export function applies(schema: Schema, property: Property, values: Values, form: Record<string, string>): boolean {
  return Object.entries(property["x-show-if"] ?? {}).every(([other, wanted]) => {
    const told = schema.properties?.[other]
    const now = form[other] ?? (told ? shown(other, told, values[other]) : "")
    return (Array.isArray(wanted) ? wanted : [wanted]).some((one) => String(one) === now)
  })
}

/** The settings that the form shows now, by heading; those without one come first. */
export function groups(
  schema: Schema,
  values: Values,
  form: Record<string, string>,
): [title: string, settings: [name: string, property: Property][]][] {
  const found = new Map<string, [string, Property][]>([["", []]])
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (!simple(property) || !applies(schema, property, values, form)) continue
    const title = property["x-group"] ?? ""
    found.set(title, [...(found.get(title) ?? []), [name, property]])
  }
  return [...found].filter(([, settings]) => settings.length > 0)
}

/** What a choice is called. */
export function choiceLabel(property: Property, choice: unknown): string {
  return property["x-labels"]?.[String(choice)] ?? String(choice)
}

/** The changed values, in the types of the schema. Throws an error with a message for the person. */
export function changes(schema: Schema, before: Values, form: Record<string, string>): Values {
  const changed: Values = {}
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const text = form[name]
    if (
      text === undefined ||
      property.readOnly ||
      !applies(schema, property, before, form) ||
      (text === "" && isSecret(name, property))
    )
      continue
    const value = typed(name, property, text)
    if (value === undefined) {
      if (schema.required?.includes(name)) throw new Error(`${label(name, property)} is required.`)
      if (before[name] !== undefined && before[name] !== null && before[name] !== "") changed[name] = null
    } else if (value !== before[name]) changed[name] = value
  }
  return changed
}

function typed(name: string, property: Property, text: string): unknown {
  if (text === "") return undefined
  switch (kind(property)) {
    case "boolean":
      return text === "true"
    case "integer":
    case "number": {
      const value = Number(text)
      const whole = kind(property) === "number" || Number.isInteger(value)
      if (!Number.isFinite(value) || !whole)
        throw new Error(`${label(name, property)} must be a ${whole ? "" : "whole "}number.`)
      return value
    }
    default:
      return text
  }
}

/** The type of a property, ignoring null. */
export function kind(property: Property): string {
  return Array.isArray(property.type)
    ? (property.type.find((type) => type !== "null") ?? "string")
    : (property.type ?? "string")
}

export function label(name: string, property: Property): string {
  if (property.title) return property.title
  const words = name
    .replace(/[_-]+/g, " ")
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Whether the form supports this property. */
export function simple(property: Property): boolean {
  return ["string", "number", "integer", "boolean"].includes(kind(property))
}

/** The initial text of the field. */
export function shown(name: string, property: Property, value: unknown): string {
  if (isSecret(name, property)) return ""
  const seen = value ?? property.default
  return seen === undefined || seen === null ? "" : String(seen)
}
