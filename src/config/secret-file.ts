import { readFile } from 'node:fs/promises'
import { Secret } from '../kernel/secret.ts'

/**
 * A secret in a file that somebody may change while the gateway runs: read again each time that it is used. While the
 * file cannot be read, or is empty, it is what it was.
 */
export class SecretFile {
  readonly file: string
  #last: Secret

  constructor(file: string, first: Secret) {
    this.file = file
    this.#last = first
  }

  async reveal(): Promise<string> {
    try {
      const text = withoutLastNewline(await readFile(this.file, 'utf8'))
      if (text !== '') this.#last = new Secret(text)
    } catch {
      // Between removing and writing it anew there is none; if it stays away, the target says what is wrong.
    }
    return this.#last.reveal()
  }

  toString(): string {
    return this.#last.toString()
  }

  toJSON(): string {
    return this.#last.toJSON()
  }
}

/** A final newline belongs to the editor, not to the secret. */
export function withoutLastNewline(text: string): string {
  return text.replace(/\r?\n$/, '')
}
