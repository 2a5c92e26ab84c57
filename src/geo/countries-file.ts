import { Fault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { NoMmdbFile, readMmdbFile } from '../kernel/mmdb-file.ts'
import type { Clock, Timer } from '../kernel/time.ts'
import type { CountryLookup } from '../policy/countries.ts'
import { countriesIn, type Countries } from './countries.ts'

/** How often it is looked whether the file changed. */
const lookMs = 30_000

export interface CountriesFileOptions {
  /** Absolute. */
  readonly file: string
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/** Countries of addresses, as the operator's file has them now. */
export interface CountriesFile extends Disposable {
  readonly lookup: CountryLookup
  /** Called after the file was read anew. */
  onChange(listener: () => void): void
  /** Looks now, not only when it is time. Never rejects. */
  look(): Promise<void>
}

/**
 * Reads the file, and reads it again when it changes. One that cannot be used then leaves the last good one in place.
 * @throws Fault CONFIG_INVALID when it cannot be used at the start
 */
export async function openCountriesFile(options: CountriesFileOptions): Promise<CountriesFile> {
  const { file, clock, log, metrics } = options
  const first = await readCountries(file).catch((cause: unknown) => {
    throw new Fault('CONFIG_INVALID', `The countries of addresses cannot be read: ${reasonOf(file, cause)}.`, { cause })
  })
  const opened = new OpenFile(first!, options)
  metrics.set('curfew_countries_file_good', {}, 1)
  log.info({ file, ...first!.about }, 'countries of addresses read')
  opened.lookLater(clock)
  return opened
}

type Stamped = Countries & { readonly stamp: string }

class OpenFile implements CountriesFile {
  readonly #options: CountriesFileOptions
  readonly #listeners: (() => void)[] = []
  #countries: Stamped
  #timer: Timer | undefined
  #closed = false
  /** What is wrong with the file as it is now; said once. */
  #problem: string | null = null

  constructor(countries: Stamped, options: CountriesFileOptions) {
    this.#countries = countries
    this.#options = options
  }

  readonly lookup: CountryLookup = (address) => this.#countries.lookup(address)

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  lookLater(clock: Clock): void {
    if (this.#closed) return
    this.#timer = clock.after(lookMs, () => void this.look().then(() => this.lookLater(clock)))
  }

  async look(): Promise<void> {
    const { file, log } = this.#options
    try {
      const countries = await readCountries(file, this.#countries.stamp)
      this.#note(null)
      if (countries === undefined || this.#closed) return
      this.#countries = countries
      log.info({ file, ...countries.about }, 'countries of addresses read')
      for (const listener of this.#listeners) listener()
    } catch (error) {
      this.#note(reasonOf(file, error))
    }
  }

  #note(problem: string | null): void {
    const { log, metrics } = this.#options
    if (problem !== null && problem !== this.#problem) {
      log.error({ problem }, 'the countries of addresses cannot be read; the last that could be are used')
    }
    this.#problem = problem
    metrics.set('curfew_countries_file_good', {}, problem === null ? 1 : 0)
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#timer?.cancel()
  }
}

/** @returns undefined when the file has that stamp still. @throws NoMmdbFile, system errors */
async function readCountries(file: string, stamp?: string): Promise<Stamped | undefined> {
  const read = await readMmdbFile(file, stamp)
  return read && { stamp: read.stamp, ...countriesIn(read.bytes) }
}

function reasonOf(file: string, error: unknown): string {
  if (error instanceof NoMmdbFile) return `${file} ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
