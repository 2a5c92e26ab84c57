import type { Wish } from '../../../access/access.ts'
import { parseDurationMs, writeDuration } from '../../../kernel/durations.ts'
import { asFault, Fault, type FaultCode } from '../../../kernel/fault.ts'
import { checkWish } from '../../../policy/decide.ts'
import type { Policy } from '../../../policy/rules.ts'
import type { Prompt } from '../conversation.ts'

export type WishField = 'reason' | 'ticket' | 'length'
export type FilledWish = Pick<Wish, 'reason' | 'ticket' | 'lengthMs'>

/** What is asked of a person who wants access: reason, ticket where the policy knows one, and how long. */
export class WishForm {
  readonly #policy: Policy
  readonly #values: Record<WishField, string> = { reason: '', ticket: '', length: '' }

  constructor(policy: Policy) {
    this.#policy = policy
  }

  get fields(): readonly WishField[] {
    return this.#policy.ticket === null ? ['reason', 'length'] : ['reason', 'ticket', 'length']
  }

  /** Who gives no reason where one is needed would rather ask on the page. */
  get leavesOutReason(): boolean {
    return this.#policy.reason === 'required' && this.#values.reason === ''
  }

  prompt(field: WishField): Prompt {
    return { text: this.#question(field), echo: true }
  }

  /** @param text as it was typed. */
  fill(field: WishField, text: string): void {
    this.#values[field] = text.replaceAll(/\p{C}+/gu, ' ').trim()
  }

  /** What is wrong, and where; or the wish. */
  read(): { readonly wish: FilledWish } | { readonly wrong: WishField; readonly fault: Fault } {
    try {
      const { reason, ticket } = this.#values
      const wish = { reason, ticket: ticket === '' ? null : ticket, lengthMs: this.#lengthMs() }
      checkWish(this.#policy, wish)
      return { wish }
    } catch (error) {
      const fault = asFault(error)
      if (fault === undefined) throw error
      return { wrong: this.#fieldOf(fault.code), fault }
    }
  }

  #question(field: WishField): string {
    const { reason, ticket, length } = this.#policy
    if (field === 'reason') return reason === 'required' ? 'Reason: ' : 'Reason (optional): '
    if (field === 'length') return `How long? [${writeDuration(length.defaultMs)}] `
    const shape = ticket?.pattern.source ?? ''
    return `Ticket (${ticket?.required === true ? '' : 'optional, '}like ${shape}): `
  }

  #lengthMs(): number {
    const { length } = this.#values
    if (length === '') return this.#policy.length.defaultMs
    const lengthMs = parseDurationMs(length.replaceAll(' ', ''))
    if (lengthMs !== undefined) return lengthMs
    throw new Fault('LENGTH_REFUSED', `"${length.slice(0, 20)}" is no length.`, {
      hint: 'Write it like 30m, 2h or 1d.',
    })
  }

  #fieldOf(code: FaultCode): WishField {
    if (code === 'LENGTH_REFUSED') return 'length'
    if (code === 'TICKET_REQUIRED') return 'ticket'
    // INPUT_INVALID: one of the two is too long.
    return code === 'INPUT_INVALID' && this.#values.ticket.length > this.#values.reason.length ? 'ticket' : 'reason'
  }
}
