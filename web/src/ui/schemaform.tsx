/** A form generated from a flat JSON Schema: text, numbers, switches and choices. */
import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import {
  changes,
  choiceLabel,
  groups,
  isSecret,
  kind,
  label,
  type Property,
  type Schema,
  shown,
  type Values,
} from "../schema"
import { Button, Field } from "./parts"

/** What came of trying the settings. */
export interface Tested {
  ok: boolean
  message: string
}

interface FormProps {
  schema: Schema
  values: Values
  writable: boolean
  save: (changed: Values) => Promise<void>
  /** Tries the settings that are saved. */
  test: { label: string; act: () => Promise<Tested> }
}

export function SchemaForm({ schema, values, writable, save, test }: FormProps) {
  const [form, setForm] = useState<Record<string, string>>({})
  const [tested, setTested] = useState<Tested | null>(null)
  const dirty = Object.keys(form).length > 0
  const set = (name: string, text: string) => setForm((old) => ({ ...old, [name]: text }))
  const submit = async () => {
    const changed = changes(schema, values, form)
    if (Object.keys(changed).length > 0) await save(changed)
    setForm({})
    setTested(null)
  }
  const check = async () => {
    setTested(null)
    if (dirty) await submit()
    setTested(await test.act())
  }
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      {groups(schema, values, form).map(([title, settings]) => (
        <Group key={title} title={title}>
          {settings.map(([name, property]) => (
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
        </Group>
      ))}
      <div class="row">
        {writable && (
          <Button type="submit" kind="primary" act={submit} done="Saved" disabled={!dirty}>
            Save
          </Button>
        )}
        <Button act={check}>{dirty ? `Save and ${test.label.toLowerCase()}` : test.label}</Button>
      </div>
      <div role="status">{tested && <p class={`notice ${tested.ok ? "good" : "bad"}`}>{tested.message}</p>}</div>
    </form>
  )
}

function Group({ title, children }: { title: string; children: ComponentChildren }) {
  if (!title) return <>{children}</>
  return (
    <fieldset class="group">
      <legend>{title}</legend>
      {children}
    </fieldset>
  )
}

/** The input's type attribute; all other attributes are the same. */
function shape(name: string, property: Property): { type: "text"; step?: string } {
  if (isSecret(name, property)) return { type: "password" as "text" }
  if (kind(property) === "string") return { type: "text" }
  return { type: "number" as "text", step: kind(property) === "integer" ? "1" : "any" }
}

interface InputProps {
  name: string
  property: Property
  required: boolean
  /** Read-only. */
  fixed: boolean
  value: string
  set: (text: string) => void
}

function Input({ name, property, required, fixed, value, set }: InputProps) {
  const told = /empty/i.test(property.description ?? "")
  const hint = [property.description, isSecret(name, property) && !told && "Leave empty to keep the current value."]
  const words = label(name, property)
  if (kind(property) === "boolean" && property.readOnly)
    return (
      <p>
        {words}: {value === "true" ? "yes" : "no"}
        {property.description && <small class="hint">{property.description}</small>}
      </p>
    )
  if (kind(property) === "boolean")
    return (
      <label class="switch">
        <input
          type="checkbox"
          disabled={fixed}
          checked={value === "true"}
          onChange={(event) => set(String(event.currentTarget.checked))}
        />
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
          <select
            {...ids}
            disabled={fixed}
            required={required}
            value={value}
            onChange={(event) => set(event.currentTarget.value)}
          >
            {!value && <option value="">Choose</option>}
            {property.enum.map((choice) => (
              <option key={String(choice)} value={String(choice)}>
                {choiceLabel(property, choice)}
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
