import { Listeners } from './listeners.ts'

/** A value that changes now and then. Listeners run synchronously, in the order they came. */
export interface Observable<T> {
  readonly value: T
  subscribe(listener: (value: T) => void): Disposable
}

export class Subject<T> implements Observable<T> {
  #value: T
  readonly #listeners = new Listeners<[T]>()

  constructor(value: T) {
    this.#value = value
  }

  get value(): T {
    return this.#value
  }

  next(value: T): void {
    this.#value = value
    this.#listeners.call(value)
  }

  subscribe(listener: (value: T) => void): Disposable {
    return this.#listeners.add(listener)
  }
}
