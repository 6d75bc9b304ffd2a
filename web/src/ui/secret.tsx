/** A password input. */
import { Field } from "./parts"

interface SecretProps {
  label: string
  hint?: string
  problem?: string | null
  autocomplete: "current-password" | "new-password"
  value: string
  set: (value: string) => void
}

export function Secret({ label, hint, problem, autocomplete, value, set }: SecretProps) {
  return (
    <Field label={label} hint={hint} problem={problem ?? null}>
      {(ids) => (
        <input
          {...ids}
          type="password"
          autocomplete={autocomplete}
          value={value}
          onInput={(event) => set(event.currentTarget.value)}
        />
      )}
    </Field>
  )
}
