/** How full memory and disk are, and who uses them. */
import { bytes } from "../format"
import { fullness } from "../words"
import { Badge } from "./parts"

export interface Share {
  name: string
  bytes: number
}

const SHADES = 6

/** A bar with a part for each owner, and the same as a table of text. */
export function Gauge({
  title,
  used,
  total,
  shares,
}: {
  title: string
  used: number | null
  total: number | null
  shares: Share[]
}) {
  const whole = Math.max(total ?? 0, used ?? 0, 1)
  const named = shares.reduce((sum, share) => sum + share.bytes, 0)
  const rest = Math.max((used ?? named) - named, 0)
  const parts = [...shares].sort((a, b) => b.bytes - a.bytes)
  if (rest > whole / 200) parts.push({ name: "Other", bytes: rest })
  const tone = fullness(used, total)
  if (used === null && named === 0)
    return (
      <div class="gauge">
        <h3>{title}</h3>
        <p class="quiet">This machine does not tell.</p>
      </div>
    )
  return (
    <div class="gauge">
      <div class="gauge-head">
        <h3>{title}</h3>
        <p>
          <strong>{bytes(used ?? named)}</strong>
          {total ? ` of ${bytes(total)}` : " used"}
        </p>
        {(tone === "bad" || tone === "busy") && (
          <Badge tone={tone}>{tone === "bad" ? "Nearly full" : "Getting full"}</Badge>
        )}
      </div>
      <div class="bar" aria-hidden="true">
        {parts.map((part, place) => (
          <span key={part.name} class={`shade-${place % SHADES}`} style={{ width: `${(100 * part.bytes) / whole}%` }} />
        ))}
      </div>
      <ul class="legend" aria-label={`${title} by owner`}>
        {parts.map((part, place) => (
          <li key={part.name}>
            <span class={`dot shade-${place % SHADES}`} aria-hidden="true" />
            {part.name} <span class="quiet">{bytes(part.bytes)}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}
