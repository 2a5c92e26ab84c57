import { setTimeout as sleep } from 'node:timers/promises'
import { runCase, type Scene } from './cases.ts'
import type { LoopDelay } from '../../test/servers/loop-watch.ts'
import { crowd, flood, floods } from './floods.ts'
import { openScene, type OpenScene } from './scene.ts'

export interface PostgresOptions {
  readonly minutes: number
  readonly seed: number
  /** Only this one case. */
  readonly case?: number
  readonly load: number
  /** Connections that say nothing, in a crowd. */
  readonly crowd: number
}

const batchCases = 96
const casesAtOnce = 24
/** After so many batches comes a flood, and the process is weighed. */
const batchesBetweenFloods = 4
const floodsBetweenCrowds = 5
const crowdAddresses = 6
/** What one turn of the loop may compute; docs/security.md has what was seen. */
const busyMsMax = 50
/** Where the machine is shared, a thread that is set aside counts on: what is too much is tried again, and the least counts. */
const triesMax = 5
const grownBytesMax = 48 << 20

/** @returns how much was wrong. */
export async function fuzzPostgres(options: PostgresOptions, say: (line: string) => void): Promise<number> {
  await using open = await openScene(options.seed)
  return options.case === undefined ? await new Run(open, options, say).run() : await repeatOne(open, options.case, say)
}

async function repeatOne(open: OpenScene, index: number, say: (line: string) => void): Promise<number> {
  await runCase(open.scene, index).catch(() => undefined) // an attacker's own failure says nothing
  const wrong = await open.wrong()
  for (const line of wrong.length === 0 ? ['nothing is wrong'] : wrong) say(`case ${index}: ${line}`)
  return wrong.length
}

class Run {
  readonly #open: OpenScene
  readonly #options: PostgresOptions
  readonly #say: (line: string) => void
  #wrong = 0
  #index = 0
  #batches = 0
  #floods = 0
  #firstHeldBytes = 0
  #worst = { busyMs: 0, delayMs: 0, during: '' }
  #longest = { roundTripMs: 0, during: '' }
  /** Turns of the loop above 50 ms of its own work. */
  #slow: string[] = []

  constructor(open: OpenScene, options: PostgresOptions, say: (line: string) => void) {
    this.#open = open
    this.#options = options
    this.#say = say
  }

  async run(): Promise<number> {
    const { minutes, load, seed } = this.#options
    const endMs = performance.now() + minutes * 60_000
    await this.#open.gateway.loopDelay()
    while (performance.now() < endMs) {
      const begunMs = performance.now()
      await this.#batch()
      await sleep(((performance.now() - begunMs) * (1 - load)) / load)
      if (this.#batches % batchesBetweenFloods === 0) await this.#heavy()
    }
    const { healthy } = this.#open
    const { busyMs, delayMs, during } = this.#worst
    this.#say(`postgres: seed ${seed}, ${this.#index} cases in ${this.#batches} batches, ${this.#floods} floods`)
    const { roundTripMs, during: when } = this.#longest
    this.#say(
      `postgres: healthy session: ${healthy.count} round trips, the longest ${roundTripMs.toFixed(0)} ms during ${when}`,
    )
    const cpu = `${busyMs.toFixed(0)} ms of CPU of ${busyMsMax} (${delayMs.toFixed(0)} ms by the clock)`
    this.#say(`postgres: longest turn of the loop ${cpu} during ${during}`)
    for (const line of new Set(this.#slow)) this.#say(`postgres: tried again: ${line}`)
    this.#say(`postgres: ${this.#wrong} wrong`)
    return this.#wrong
  }

  async #batch(): Promise<void> {
    const first = this.#index
    this.#index += batchCases
    this.#batches += 1
    const { scene } = this.#open
    await this.#again(`cases ${first} to ${first + batchCases - 1}`, async () => {
      let next = first
      const one = async () => {
        while (next < first + batchCases) await runCase(scene, next++).catch(() => undefined) // an attacker's own failure
      }
      await Promise.all(Array.from({ length: casesAtOnce }, one))
    })
  }

  /** Until no turn took too long, or it has been tried often enough. */
  async #again(during: string, attack: () => Promise<unknown>): Promise<void> {
    const turns: LoopDelay[] = []
    do {
      await attack()
      const turn = await this.#open.gateway.loopDelay()
      turns.push(turn)
      await this.#look(during)
      await this.#open.gateway.loopDelay() // what was looked at is not what was measured
      if (turn.busyMs <= busyMsMax) break
    } while (turns.length < triesMax)
    this.#weigh(during, turns)
  }

  #weigh(during: string, turns: readonly LoopDelay[]): void {
    const { busyMs, delayMs } = turns.reduce((least, turn) => (turn.busyMs < least.busyMs ? turn : least))
    if (busyMs > this.#worst.busyMs) this.#worst = { busyMs, delayMs, during }
    const all = turns.map((turn) => turn.busyMs.toFixed(0)).join(', ')
    if (turns.length > 1) this.#slow.push(`${during} (${all} ms)`)
    if (busyMs > busyMsMax) this.#found(`${during}: one turn of the loop took ${all} ms of CPU, again and again`)
  }

  async #heavy(): Promise<void> {
    const { scene, gateway } = this.#open
    const names = Object.keys(floods)
    const name = names[this.#floods % names.length]!
    const role = Math.floor(this.#floods / names.length) % 2 === 0 ? 'reporting' : 'guarded'
    this.#floods += 1
    await this.#again(`${name} as ${role}`, () => flood(scene, floods[name]!(), role))
    if (this.#floods % floodsBetweenCrowds === 1) await this.#crowd(scene)
    const heldBytes = await gateway.heldBytes()
    await gateway.loopDelay() // weighing takes a while, and is not what is measured
    if (this.#floods === 2) this.#firstHeldBytes = heldBytes
    const grownBytes = this.#firstHeldBytes === 0 ? 0 : heldBytes - this.#firstHeldBytes
    if (grownBytes > grownBytesMax) this.#found(`memory has grown by ${(grownBytes / 1e6).toFixed(1)} MB`)
    const { delayMs, busyMs, during } = this.#worst
    const held = `${(heldBytes / 1e6).toFixed(1)} MB held`
    this.#say(
      `postgres: ${this.#index} cases, ${held}, at worst ${busyMs.toFixed(0)}/${delayMs.toFixed(0)} ms (${during})`,
    )
  }

  /** From more addresses than may fill all places, so that somebody new gets in beside them. */
  async #crowd({ ports }: Scene): Promise<void> {
    const { gateway, healthy } = this.#open
    const begunMs = performance.now()
    const gone = crowd(ports.plaintext, this.#options.crowd, crowdAddresses)
    await healthy.enters()
    const waiting = await gateway.metric('curfew_unauthenticated_connections')
    const { fatal, bare } = await gone
    const tookMs = performance.now() - begunMs
    const { delayMs, busyMs } = await gateway.loopDelay()
    const loop = `turns of the loop ${busyMs.toFixed(0)} ms of CPU, ${delayMs.toFixed(0)} ms by the clock`
    const ends = `${fatal} refused, ${bare} without a word, ${waiting} there when a psql got in`
    this.#say(`postgres: crowd of ${this.#options.crowd}: ${ends}, gone after ${tookMs.toFixed(0)} ms; ${loop}`)
    if (busyMs > this.#worst.busyMs) this.#worst = { busyMs, delayMs, during: 'a crowd' }
    await this.#look('a crowd')
  }

  async #look(during: string): Promise<void> {
    const { healthy } = this.#open
    if (healthy.longestMs > this.#longest.roundTripMs) this.#longest = { roundTripMs: healthy.longestMs, during }
    for (const line of await this.#open.wrong()) this.#found(`${during}: ${line}`)
  }

  #found(what: string): void {
    this.#wrong += 1
    if (this.#wrong <= 50) this.#say(`postgres: WRONG ${what}`)
  }
}
