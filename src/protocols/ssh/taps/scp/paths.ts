import type { ScpCommand } from '../plain-command.ts'

/** Where something is at the target, as far as the command and the sender's name for it tell. */
export interface ScpPath {
  readonly path: string
  /** Where `path` may be the file or a folder that it goes into: the sender's name for it. */
  readonly name?: string
}

/** Follows SCP through folders. */
export class ScpPaths {
  readonly #command: ScpCommand
  readonly #folders: string[] = []

  constructor(command: ScpCommand) {
    this.#command = command
  }

  /** What the command is about, when nothing more is known. */
  get given(): string {
    return this.#command.paths.join(' ')
  }

  of(name: string): ScpPath {
    const folder = this.#folders.at(-1)
    if (folder !== undefined) return { path: join(folder, name) }
    return this.#command.direction === 'up' ? this.#arriving(name) : { path: this.#leaving(name) }
  }

  enter(name: string): void {
    this.#folders.push(this.of(name).path)
  }

  leave(): void {
    this.#folders.pop()
  }

  #arriving(name: string): ScpPath {
    const path = this.#command.paths[0]!
    const isFolder = this.#command.intoFolder || path.endsWith('/') || /^(?:\.|\.\.|~)$|\/\.\.?$/.test(path)
    if (isFolder) return { path: join(path, name) }
    return baseOf(path) === name ? { path } : { path, name }
  }

  /** The sender says only the last part of a name. */
  #leaving(name: string): string {
    const { paths } = this.#command
    const same = paths.find((path) => baseOf(path) === name)
    if (same !== undefined) return same
    const pattern = paths.find((path) => /[*?[]/.test(baseOf(path))) ?? paths[0]!
    const slash = pattern.replace(/\/+$/, '').lastIndexOf('/')
    return slash < 0 ? name : join(pattern.slice(0, slash + 1), name)
  }
}

function baseOf(path: string): string {
  const bare = path.replace(/\/+$/, '')
  return bare.slice(bare.lastIndexOf('/') + 1)
}

function join(folder: string, name: string): string {
  return folder.endsWith('/') ? `${folder}${name}` : `${folder}/${name}`
}
