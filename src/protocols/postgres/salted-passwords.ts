import { createHash, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(pbkdf2)
const saltedMax = 100

/** 32 bytes. @param password after SASLprep. @see RFC 5802, section 3 */
export function saltedPassword(password: string, salt: Uint8Array, iterations: number): Promise<Buffer> {
  return derive(password, salt, iterations, 32, 'sha256')
}

/**
 * What SCRAM makes of passwords, for the next login with the same one: it costs a millisecond of the processor and
 * depends on nothing that changes between logins. Bounded; the oldest go. The passwords themselves are not kept.
 * @see RFC 5802, section 5.1: clients may keep it
 */
export class SaltedPasswords {
  readonly #salted = new Map<string, Promise<Buffer>>()

  /** As `saltedPassword`. */
  of(password: string, salt: Uint8Array, iterations: number): Promise<Buffer> {
    const key = createHash('sha256').update(salt).update(`,${iterations},${password}`).digest('base64')
    const known = this.#salted.get(key)
    if (known !== undefined) return known
    const made = saltedPassword(password, salt, iterations)
    this.#salted.set(key, made)
    made.catch(() => this.#salted.delete(key))
    const [oldest] = this.#salted.keys()
    if (this.#salted.size > saltedMax && oldest !== undefined) this.#salted.delete(oldest)
    return made
  }
}
