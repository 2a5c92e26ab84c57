import { hash as hashOf } from 'node:crypto'

// A Merkle tree over hashes of events: one signature under its root vouches for each event, without showing the others.

/** The tree over `hashes`, level by level: the leaves first, the root last. @see RFC 9162, section 2.1.1 */
export class MerkleTree {
  readonly #levels: Buffer[][]

  /** @param hashes of at least one event, hex, in the order of the log. */
  constructor(hashes: readonly string[]) {
    let level = hashes.map(leafOf)
    this.#levels = [level]
    while (level.length > 1) {
      level = pairs(level)
      this.#levels.push(level)
    }
  }

  /** Hex. */
  get root(): string {
    return this.#levels.at(-1)![0]!.toString('hex')
  }

  /** What leads from the event at `index` (from 0) to the root: hashes of neighbours, hex, from the bottom. */
  pathOf(index: number): string[] {
    const path: string[] = []
    let at = index
    for (const level of this.#levels.slice(0, -1)) {
      const neighbour = level[at ^ 1]
      if (neighbour !== undefined) path.push(neighbour.toString('hex'))
      at >>= 1
    }
    return path
  }
}

/**
 * The root that follows when `hash` (hex) stands at `index` (from 0) among `size`.
 * @returns hex; undefined when the path does not fit such a place.
 * @see RFC 9162, section 2.1.3.2
 */
export function rootFrom(hash: string, index: number, size: number, path: readonly string[]): string | undefined {
  if (index >= size) return undefined
  let at = index
  let last = size - 1
  let root = leafOf(hash)
  for (const step of path) {
    if (last === 0) return undefined
    const neighbour = Buffer.from(step, 'hex')
    if (at % 2 === 1 || at === last) {
      root = node(neighbour, root)
      while (at % 2 === 0 && at !== 0) {
        at >>= 1
        last >>= 1
      }
    } else {
      root = node(root, neighbour)
    }
    at >>= 1
    last >>= 1
  }
  return last === 0 ? root.toString('hex') : undefined
}

function pairs(level: readonly Buffer[]): Buffer[] {
  const above: Buffer[] = []
  for (let at = 0; at < level.length; at += 2) {
    const right = level[at + 1]
    above.push(right === undefined ? level[at]! : node(level[at]!, right))
  }
  return above
}

function leafOf(hash: string): Buffer {
  return hashOf('sha256', Buffer.from(`00${hash}`, 'hex'), 'buffer')
}

function node(left: Uint8Array, right: Uint8Array): Buffer {
  return hashOf('sha256', Buffer.concat([nodePrefix, left, right]), 'buffer')
}

/** A leaf has 0 there, so that it cannot pass for a node. */
const nodePrefix = Buffer.of(1)
