import type { RequestId } from '../kernel/ids.ts'
import { timeForPeople, type Instant } from '../kernel/time.ts'

/** A notice in words, before any channel's markup. People's own words are marked, as they are quoted. */
export interface Wording {
  /** One line; names in it are people's own words, too. */
  readonly headline: string
  readonly lines: readonly (readonly [label: string, text: string])[]
  /** What a person wrote, whole. */
  readonly quotes: readonly (readonly [label: string, text: string])[]
  readonly link: { readonly text: string; readonly url: string }
  /** Set where the reader is asked to decide: the request, and what an approval and a refusal mean, in a sentence. */
  readonly decides?: { readonly request: RequestId; readonly approve: string; readonly deny: string }
}

export function personLine({ name, email }: { readonly name: string; readonly email: string | null }): string {
  return email === null || email === name ? name : `${name} (${email})`
}

export function line(label: string, text: string | null): readonly (readonly [string, string])[] {
  return text === null || text === '' ? [] : [[label, text]]
}

export function moment(iso: string): string {
  return timeForPeople(Date.parse(iso) as Instant)
}
