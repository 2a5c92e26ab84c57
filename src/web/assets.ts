import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { WebApp } from './context.ts'

const css = 'text/css; charset=utf-8'
const js = 'text/javascript; charset=utf-8'

const files = {
  css: { name: 'curfew.css', type: css },
  js: { name: 'curfew.js', type: js },
  icon: { name: 'curfew.svg', type: 'image/svg+xml' },
  replayJs: { name: 'replay.js', type: js },
  playerCss: { name: 'asciinema-player.css', type: css, from: 'asciinema-player/dist/bundle/' },
  playerJs: { name: 'asciinema-player.min.js', type: js, from: 'asciinema-player/dist/bundle/' },
} as const

/** Addresses with the content's hash: `/assets/3f2a….curfew.css`. */
export type AssetHrefs = { readonly [Key in keyof typeof files]: string }

export interface Assets {
  readonly hrefs: AssetHrefs
  serveOn(app: WebApp): void
}

/** Reads the few files that pages need, from beside this module and from the player's package, once. */
export function loadAssets(): Assets {
  const loaded = Object.entries(files).map(([key, file]) => {
    const { name, type } = file
    const bytes = readFileSync(
      'from' in file ? new URL(import.meta.resolve(file.from + name)) : new URL(`assets/${name}`, import.meta.url),
    )
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
    return { key, type, bytes, path: `/assets/${hash}.${name}` }
  })
  return {
    hrefs: Object.fromEntries(loaded.map(({ key, path }) => [key, path])) as AssetHrefs,
    serveOn(app) {
      for (const { path, type, bytes } of loaded) {
        app.get(path, (c) => {
          c.set('route', '/assets')
          // the address changes with the content
          c.header('Cache-Control', 'public, max-age=31536000, immutable')
          c.header('Content-Type', type)
          return c.body(new Uint8Array(bytes))
        })
      }
    },
  }
}
