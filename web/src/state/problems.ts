/** The hub's list of problems, and how a page shows it. */
import type { Problem, Problems } from "../api/shapes"
import type { Tone } from "../words"

const TONES: Record<Problem["severity"], Tone> = { error: "bad", warning: "busy", info: "off" }

export function toneOf({ severity }: Problem): Tone {
  return TONES[severity]
}

/** The problems that nobody dismissed, as the hub orders them: the most serious first. */
export function open({ problems }: Problems): Problem[] {
  return problems.filter(({ dismissed }) => !dismissed)
}

export function dismissed({ problems }: Problems): Problem[] {
  return problems.filter((problem) => problem.dismissed)
}
