import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { codecTargets, type CodecTarget } from './codec-targets.ts'
import { Coverage } from './coverage.ts'
import { mutateBytes } from './mutate.ts'
import { Chance, seedOf } from './random.ts'
import { dialogueSeeds, startupSeeds } from './seeds.ts'

export interface CodecOptions {
  readonly minutes: number
  readonly seed: number
  /** Only the target of that name. */
  readonly only?: string
  /** Nothing but this input, in base64, at that target. */
  readonly input?: string
  /** Part of the time that it runs; the rest it sleeps. */
  readonly load: number
}

const inputBytesMax = 4096
const batchInputs = 16
/** Inputs that are kept because they reached something new; of more, an old one goes. */
const keptMax = 2000
const roundMs = 500
/** What one input may take of a CPU. Squares would need more. */
const cpuMsMax = 250

/**
 * Changes inputs at random, and keeps those that run through the code as no other did.
 * @returns how many inputs were wrong.
 */
export async function fuzzCodecs(options: CodecOptions, say: (line: string) => void): Promise<number> {
  const { minutes, seed, only, load, input: known } = options
  const all = await codecTargets(dialogueSeeds(), startupSeeds())
  const targets = all.filter(({ name }) => only === undefined || name === only)
  const findings = new Findings(say)
  if (known !== undefined) {
    for (const target of targets) findings.attempt(target, Buffer.from(known, 'base64'))
    return findings.wrong
  }
  using coverage = new Coverage()
  const kept = new Map(targets.map(({ name, seeds }) => [name, [...seeds]]))
  const chance = new Chance(seedOf(seed, 0))
  const endMs = performance.now() + minutes * 60_000
  let count = 0
  for (const target of targets) for (const input of target.seeds) findings.attempt(target, input)
  coverage.ranAnew(true)
  while (performance.now() < endMs) {
    const roundEndMs = performance.now() + roundMs
    while (performance.now() < roundEndMs) {
      const target = chance.pick(targets)
      const inputs = kept.get(target.name)!
      // Looking at what ran costs more than running it, so only a batch that holds something new is looked at one by one.
      const batch = Array.from({ length: batchInputs }, () => nextInput(inputs, chance))
      count += batch.length
      for (const input of batch) findings.attempt(target, input)
      if (!coverage.ranAnew(false)) continue
      for (const input of batch) {
        findings.attempt(target, input)
        if (coverage.ranAnew(true)) keep(inputs, input, chance)
      }
    }
    await turn()
    await sleep((roundMs * (1 - load)) / load)
  }
  const { functions, charactersLeft } = coverage.summary
  const corpus = [...kept].map(([name, inputs]) => `${name} ${inputs.length}`).join(', ')
  say(
    `codecs: seed ${seed}, ${count} inputs, ${functions} functions reached, ${charactersLeft} characters of them never`,
  )
  say(`codecs: inputs kept: ${corpus}`)
  say(`codecs: ${findings.wrong} wrong`)
  return findings.wrong
}

function nextInput(inputs: readonly Buffer[], chance: Chance): Buffer {
  const base = chance.pick(inputs)
  if (!chance.oneIn(6)) return mutateBytes(base, chance, inputBytesMax)
  const other = chance.pick(inputs)
  const joined = Buffer.concat([
    base.subarray(0, chance.below(base.length + 1)),
    other.subarray(chance.below(other.length + 1)),
  ])
  return joined.subarray(0, inputBytesMax)
}

/** Tells of each kind once, with an input that shows it. */
class Findings {
  wrong = 0
  readonly #said = new Set<string>()
  readonly #say: (line: string) => void

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  attempt(target: CodecTarget, input: Buffer): void {
    const before = process.threadCpuUsage()
    try {
      target.run(input)
    } catch (error) {
      return this.#found(target.name, input, error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    const cpuMs = process.threadCpuUsage(before).user / 1000
    if (cpuMs > cpuMsMax) this.#found(target.name, input, `it took ${cpuMs.toFixed(0)} ms of CPU time`)
  }

  #found(name: string, input: Buffer, what: string): void {
    this.wrong += 1
    const kind = `${name} ${/\n +at .*/.exec(what)?.[0] ?? ''}`
    if (this.#said.has(kind)) return
    this.#said.add(kind)
    this.#say(`codecs: ${name} ${input.toString('base64')}\n${what}`)
  }
}

function keep(inputs: Buffer[], input: Buffer, chance: Chance): void {
  if (inputs.length < keptMax) inputs.push(Buffer.from(input))
  else inputs[chance.below(inputs.length)] = Buffer.from(input)
}
