// Goal: a session is never taken for idle while its target has something to do, and is idle after what clients do in order.
// Method: a target by the rules of the manual ("Message Flow"), which takes messages one by one while the client goes on.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Activity } from '../../../src/protocols/postgres/activity.ts'
import { fromClient, fromServer } from '../../../src/protocols/postgres/messages.ts'

type Said = 'query' | 'query-copy' | 'execute' | 'execute-copy' | 'sync' | 'data' | 'done'

const typeOf: Readonly<Record<Said, number>> = {
  query: fromClient.query,
  'query-copy': fromClient.query,
  execute: fromClient.execute,
  'execute-copy': fromClient.execute,
  sync: fromClient.sync,
  data: fromClient.copyData,
  done: fromClient.copyDone,
}

class Model {
  readonly activity = new Activity()
  readonly #client = this.activity.clientTap(null)
  readonly #target = this.activity.targetTap(null)
  readonly #queue: Said[] = []
  #state: 'idle' | 'open' | 'skipping' | 'copy' | 'open-copy' = 'idle'

  /** What only a Sync ends, or a query that is not answered yet. */
  get works(): boolean {
    return this.#state !== 'idle' || this.#queue.some((said) => said !== 'data' && said !== 'done')
  }

  say(said: Said): void {
    this.#client.begin(typeOf[said], 0)
    this.#queue.push(said)
  }

  /** @param fails when it can. */
  take(fails: boolean): void {
    const said = this.#queue.shift()
    if (said === undefined) return
    if (this.#state === 'skipping') {
      if (said === 'sync') this.#ready()
    } else if (this.#state === 'copy' || this.#state === 'open-copy') this.#takeInCopy(said, fails)
    else this.#takeUsual(said, fails)
  }

  #takeUsual(said: Said, fails: boolean): void {
    if (said === 'data' || said === 'done') return
    if (said === 'sync') return this.#ready()
    const isQuery = said.startsWith('query')
    if (fails) this.#fail(isQuery)
    else if (said.endsWith('copy')) {
      this.#answer(fromServer.copyInResponse)
      this.#state = isQuery ? 'copy' : 'open-copy'
    } else if (isQuery) this.#ready()
    else this.#state = 'open'
  }

  #takeInCopy(said: Said, fails: boolean): void {
    if (said === 'sync') return
    const isQuery = this.#state === 'copy'
    if (said !== 'data' && said !== 'done') this.#fail(isQuery)
    else if (fails) this.#fail(isQuery)
    else if (said === 'done' && isQuery) this.#ready()
    else if (said === 'done') this.#state = 'open'
  }

  #fail(isQuery: boolean): void {
    this.#answer(fromServer.errorResponse)
    if (isQuery) this.#ready()
    else this.#state = 'skipping'
  }

  #ready(): void {
    this.#state = 'idle'
    this.#answer(fromServer.readyForQuery)
  }

  #answer(type: number): void {
    this.#target.begin(type, 0)
  }
}

const said = fc.constantFrom(...(Object.keys(typeOf) as Said[]))
const step = fc.oneof(said, fc.boolean())

test('whatever is sent and whenever it is taken, what works is busy', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const model = new Model()
      for (const one of steps) {
        if (typeof one === 'boolean') model.take(one)
        else model.say(one)
        if (model.works) expect(model.activity.busy).toBe(true)
      }
    }),
    { numRuns: 20_000 },
  )
})

describe('what drivers send leaves it idle, taken at once or late, failed or not', () => {
  /** Each piece is sent at once. */
  const orders: readonly string[] = [
    'query',
    'query-copy, data, data, done',
    'execute execute sync',
    'execute-copy sync, data, done sync',
    'execute-copy, data, done sync',
    'execute-copy, sync, data, done sync, query',
    'execute-copy, data, done, sync, query',
    'execute-copy data done sync',
    'execute sync execute-copy sync, done sync, query',
  ]
  test.for(orders)('%s', (order) => {
    const pieces = order.split(', ').map((piece) => piece.split(' ') as Said[])
    const all = pieces.flat()
    for (const failsAt of [...all.keys(), -1]) {
      const model = new Model()
      let at = 0
      for (const piece of pieces) {
        for (const one of piece) model.say(one)
        for (const _ of piece) model.take(at++ === failsAt)
      }
      expect([failsAt, model.works, model.activity.busy]).toEqual([failsAt, false, false])
    }
  })
})

test('a long pipeline is answered as fast as a short one', { timeout: 10_000 }, () => {
  const activity = new Activity()
  const [client, target] = [activity.clientTap(null), activity.targetTap(null)]
  const syncs = 400_000
  for (let count = 0; count < syncs; count++) client.begin(fromClient.sync, 0)
  for (let count = 1; count < syncs; count++) target.begin(fromServer.readyForQuery, 1)
  expect(activity.busy).toBe(true)
  target.begin(fromServer.readyForQuery, 1)
  expect(activity.busy).toBe(false)
  target.begin(fromServer.readyForQuery, 1)
  client.begin(fromClient.sync, 0)
  expect(activity.busy).toBe(true)
})
