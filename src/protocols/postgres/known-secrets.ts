import { mask, maskText, maskUnfinishedUrl } from './mask-text.ts'

/** Shorter ones would take words out of every sentence. */
const charsMin = 3
const charsMax = 4096
const countMax = 64

/**
 * What was taken out of statements and values that are not answered yet: a server may quote it, as in
 * `syntax error at or near "…"`. It is forgotten with the answer.
 */
export class KnownSecrets {
  /** Made with the first: most sessions never have any. */
  #texts: Set<string> | undefined
  #isAll = true
  /** Some were added for which no ReadyForQuery was asked yet. */
  #isOpen = false

  add(text: string): void {
    if (text.length < charsMin) return
    this.#isOpen = true
    const texts = (this.#texts ??= new Set())
    if (texts.size >= countMax || text.length > charsMax) this.#isAll = false
    else texts.add(text)
  }

  /** There are others, nobody knows which. */
  addUnknown(): void {
    this.#isOpen = true
    this.#isAll = false
  }

  /** @param text of an error or a notice. */
  hide(text: string): string {
    if (!this.#isAll) return mask
    let hidden = text
    // The longest first: one may be the beginning of another.
    const secrets = [...(this.#texts ?? [])].sort((one, other) => other.length - one.length)
    for (const secret of secrets) hidden = hidden.replaceAll(secret, mask)
    return maskText(hidden)
  }

  /** @param text that may hold one in other letters, or a part of it, or end in the midst of it. */
  hideAll(text: string): string {
    return this.#hasTexts ? mask : maskUnfinishedUrl(this.hide(text))
  }

  /** @param text of an error's detail: it may hold the rest of a row, and values that are cut off. */
  hideDetail(text: string): string {
    return this.#hasTexts && text.includes('(') ? mask : this.hide(text)
  }

  get #hasTexts(): boolean {
    return this.#texts !== undefined && this.#texts.size > 0
  }

  /** A ReadyForQuery is to come for all that was added. */
  end(): void {
    this.#isOpen = false
  }

  /** All that was asked for is answered. */
  forget(): void {
    if (this.#isOpen) return
    this.#texts?.clear()
    this.#isAll = true
  }
}
