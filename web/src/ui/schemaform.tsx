/** A form made from a module's JSON Schema: text, numbers, switches and choices, one level deep (modules.md 2). */
import { useState } from "preact/hooks"
import { Button, Field } from "./parts"

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
}

export interface Schema {
  properties?: Record<string, Property>
  required?: string[]
}

export type Values = Record<string, unknown>

/** The names that the hub keeps to itself. */
const SECRET = /secret|password|passwd|token|api_?key|_key$|^key$|credential/i

/** A secret of a module is never sent to the browser; leaving its field empty keeps it. */
export function isSecret(name: string, property: Property): boolean {
  return property.writeOnly === true || property.format === "password" || SECRET.test(name)
}

/** What changed, in the types that the schema wants; raises with a sentence for the person. */
export function changes(schema: Schema, before: Values, form: Record<string, string>): Values {
  const changed: Values = {}
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const text = form[name]
    if (text === undefined || property.readOnly || (text === "" && isSecret(name, property))) continue
    const value = typed(name, property, text)
    if (value === undefined) {
      if (schema.required?.includes(name)) throw new Error(`${label(name, property)} must be filled in.`)
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
      if (!Number.isFinite(value) || !whole) throw new Error(`${label(name, property)} must be a ${whole ? "" : "whole "}number.`)
      return value
    }
    default:
      return text
  }
}

function kind(property: Property): string {
  return Array.isArray(property.type) ? (property.type.find((type) => type !== "null") ?? "string") : (property.type ?? "string")
}

export function label(name: string, property: Property): string {
  if (property.title) return property.title
  const words = name.replace(/[_-]+/g, " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

interface FormProps {
  schema: Schema
  values: Values
  writable: boolean
  save: (changed: Values) => Promise<void>
}

export function SchemaForm({ schema, values, writable, save }: FormProps) {
  const [form, setForm] = useState<Record<string, string>>({})
  const set = (name: string, text: string) => setForm((old) => ({ ...old, [name]: text }))
  const entries = Object.entries(schema.properties ?? {}).filter(([, property]) => simple(property))
  const submit = async () => {
    const changed = changes(schema, values, form)
    if (Object.keys(changed).length > 0) await save(changed)
    setForm({})
  }
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      {entries.map(([name, property]) => (
        <Input
          key={name}
          name={name}
          property={property}
          required={schema.required?.includes(name) ?? false}
          fixed={!writable || property.readOnly === true}
          value={form[name] ?? shown(name, property, values[name])}
          set={(text) => set(name, text)}
        />
      ))}
      {writable && (
        <Button type="submit" kind="primary" act={submit} done="Saved" disabled={Object.keys(form).length === 0}>
          Save
        </Button>
      )}
    </form>
  )
}

function simple(property: Property): boolean {
  return ["string", "number", "integer", "boolean"].includes(kind(property))
}

function shown(name: string, property: Property, value: unknown): string {
  if (isSecret(name, property)) return ""
  const seen = value ?? property.default
  return seen === undefined || seen === null ? "" : String(seen)
}

/** The input's kind; every one of them takes the same other attributes. */
function shape(name: string, property: Property): { type: "text"; step?: string } {
  if (isSecret(name, property)) return { type: "password" as "text" }
  if (kind(property) === "string") return { type: "text" }
  return { type: "number" as "text", step: kind(property) === "integer" ? "1" : "any" }
}

interface InputProps {
  name: string
  property: Property
  required: boolean
  /** Can only be looked at. */
  fixed: boolean
  value: string
  set: (text: string) => void
}

function Input({ name, property, required, fixed, value, set }: InputProps) {
  const told = /empty/i.test(property.description ?? "")
  const hint = [property.description, isSecret(name, property) && !told && "Leave it empty to keep what is set."]
  const words = label(name, property)
  if (kind(property) === "boolean")
    return (
      <label class="switch">
        <input type="checkbox" disabled={fixed} checked={value === "true"} onChange={(event) => set(String(event.currentTarget.checked))} />
        <span>
          {words}
          {property.description && <small class="hint">{property.description}</small>}
        </span>
      </label>
    )
  return (
    <Field label={words} hint={hint.filter(Boolean).join(" ")}>
      {(ids) =>
        property.enum ? (
          <select {...ids} disabled={fixed} required={required} value={value} onChange={(event) => set(event.currentTarget.value)}>
            {!value && <option value="">Choose</option>}
            {property.enum.map((choice) => (
              <option key={String(choice)} value={String(choice)}>
                {String(choice)}
              </option>
            ))}
          </select>
        ) : (
          <input
            {...ids}
            readOnly={fixed}
            required={required && !isSecret(name, property)}
            {...shape(name, property)}
            autocomplete="off"
            value={value}
            onInput={(event) => set(event.currentTarget.value)}
          />
        )
      }
    </Field>
  )
}
