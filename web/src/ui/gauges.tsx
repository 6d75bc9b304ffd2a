/** Memory and disk use, in total and by owner. */
import type { MemoryPast } from "../api/shapes"
import { bytes } from "../format"
import { line, span } from "../state/history"
import { fullness } from "../words"
import { Badge } from "./parts"

export interface Share {
  name: string
  bytes: number
}

interface GaugeProps {
  title: string
  /** In bytes; null when unknown. */
  used: number | null
  total: number | null
  shares: readonly Share[]
}

const SHADES = 5
const KIB = 1024

/** A module's memory over time. Keeps its height while loading. */
export function Past({ past, name }: { past: MemoryPast | null; name: string }) {
  const { values, told } = span(past?.recent_kib ?? [], past?.minutes_kib ?? [])
  const drawn = line(values)
  if (!drawn) return <p class="past quiet">{past ? "Just started, so there is nothing to show yet." : ""}</p>
  const range = `${bytes(drawn.least * KIB)} to ${bytes(drawn.most * KIB)}`
  return (
    <div class="past">
      <svg
        viewBox="0 0 100 100"
        preserveAspectRatio="none"
        role="img"
        aria-label={`Memory of ${name} ${told}: ${range}`}
      >
        <polyline points={drawn.points} />
      </svg>
      <p class="quiet" aria-hidden="true">
        {range} {told}
      </p>
    </div>
  )
}

/** A bar with a segment for each owner, and the same as text. Without a limit there is nothing to fill, so no bar. */
export function Gauge({ title, used, total, shares }: GaugeProps) {
  const named = shares.reduce((sum, share) => sum + share.bytes, 0)
  if (used === null && named === 0)
    return (
      <div class="gauge">
        <h3>{title}</h3>
        <p class="quiet">Not available on this machine.</p>
      </div>
    )
  const filled = used ?? named
  const parts = drawn(shares, filled)
  const tone = fullness(used, total)
  return (
    <div class="gauge">
      <div class="gauge-head">
        <h3>{title}</h3>
        <p>
          <strong>{bytes(filled)}</strong>
          {total ? ` of ${bytes(total)}` : " used"}
        </p>
        {tone === "bad" && <Badge tone={tone}>Nearly full</Badge>}
        {tone === "busy" && <Badge tone={tone}>Getting full</Badge>}
      </div>
      {total !== null && (
        <div class="bar" aria-hidden="true">
          {parts.map(({ name, bytes, shade }) => (
            <span key={name} class={shade} style={{ width: `${(100 * bytes) / Math.max(total, filled, 1)}%` }} />
          ))}
        </div>
      )}
      <ul class="legend" aria-label={`${title} by owner`}>
        {parts.map((part) => (
          <li key={part.name}>
            <span class={`dot ${part.shade}`} aria-hidden="true" />
            {part.name} <span class="quiet">{bytes(part.bytes)}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** The largest owners in separate shades, the rest combined. */
function drawn(shares: readonly Share[], filled: number): (Share & { shade: string })[] {
  const largest = [...shares].sort((a, b) => b.bytes - a.bytes).slice(0, SHADES)
  const rest = filled - largest.reduce((sum, share) => sum + share.bytes, 0)
  const parts = largest.map((share, place) => ({ ...share, shade: `shade-${place}` }))
  return rest > filled / 200 ? [...parts, { name: "Other", bytes: rest, shade: "shade-other" }] : parts
}
