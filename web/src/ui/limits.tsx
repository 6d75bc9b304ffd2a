/** How much memory and processor time a module may use. */
import { useState } from "preact/hooks"
import type { Module } from "../api/shapes"
import { hub, modules, overview } from "../app"
import { bytes, percent } from "../format"
import { confirm } from "./dialog"
import { say } from "./notices"
import { Button, Choice, More } from "./parts"

const MB = 1024 ** 2
const SIZES = [64, 128, 256, 512, 1024, 2048, 4096].map((size) => size * MB)
const SHARES = [10, 25, 50, 100, 200]
const USUAL = "usual"

/** A limit of another size, set by the command, is one more choice. */
function choices(sizes: number[], now: number | null, usual: number | null, words: (size: number) => string) {
  const all = [...new Set([...sizes, ...(now ? [now] : [])])].sort((a, b) => a - b)
  return [
    [USUAL, `default (${usual === null ? "no limit" : words(usual)})`],
    // Where the default is no limit, it would be there twice.
    ...(usual === null && now !== 0 ? [] : [["0", "no limit"] as const]),
    ...all.map((size) => [String(size), words(size)] as const),
  ] as const
}

const told = (limit: number | null) => (limit === null ? USUAL : String(limit))
const meant = (choice: string) => (choice === USUAL ? null : Number(choice))

export function Limits({ module }: { module: Module }) {
  const { memory, cpu, usual_memory, usual_cpu } = module.limits
  const { memory_limit, cpu_limit } = module.settings
  const [size, setSize] = useState(told(memory_limit))
  const [share, setShare] = useState(told(cpu_limit))
  const mine = ({ short }: { short: string }) => short === module.short
  const used = overview.value?.memory.modules.find(mine)?.bytes ?? 0
  const taken = overview.value?.processor.modules.find(mine)?.share
  const save = async () => {
    const wanted = { memory_limit: meant(size), cpu_limit: meant(share) }
    const most = wanted.memory_limit ?? usual_memory
    if (most && used > most) {
      const question = `It uses ${bytes(used)} of memory now, which is more than that. It will be restarted.`
      if (!(await confirm(`Restart ${module.display_name}?`, question, "Save and restart"))) return
    }
    await hub.call("PUT", `/api/modules/${module.short}/settings`, wanted)
    await modules.refresh()
    const soon = module.elsewhere ? "in a few seconds" : "now"
    say(`The limits of ${module.display_name} apply ${soon}`)
  }
  return (
    <>
      <p>
        {memory === null ? "It may use all the memory there is" : `It may use up to ${bytes(memory)} of memory`}
        {cpu === null ? ", and every processor." : `, and ${cpu}% of a processor.`}
      </p>
      <More label="Change its limits">
        <form class="narrow" onSubmit={(event) => event.preventDefault()}>
          <Choice
            label="Memory"
            value={size}
            set={setSize}
            choices={choices(SIZES, memory_limit, usual_memory, bytes)}
          />
          <p class="hint">
            {used > 0 && `It uses ${bytes(used)} now. `}When it uses more than its limit, it is restarted.
          </p>
          <Choice
            label="Processor"
            value={share}
            set={setShare}
            choices={choices(SHARES, cpu_limit, usual_cpu, (one) => `${one}%`)}
          />
          <p class="hint">
            {taken !== undefined && `It uses ${percent(taken)} now. `}100% is one processor. With less it gets slower.
          </p>
          <Button act={save} type="submit">
            Save limits
          </Button>
        </form>
      </More>
    </>
  )
}
