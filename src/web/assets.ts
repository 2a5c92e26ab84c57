import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { WebApp } from './context.ts'

const css = 'text/css; charset=utf-8'
const js = 'text/javascript; charset=utf-8'

const files = {
  css: { url: own('curfew.css'), type: css },
  js: { url: own('curfew.js'), type: js },
  icon: { url: own('curfew.svg'), type: 'image/svg+xml' },
  replayJs: { url: own('replay.js'), type: js },
  playerCss: { url: import.meta.resolve('asciinema-player/dist/bundle/asciinema-player.css'), type: css },
  playerJs: { url: import.meta.resolve('asciinema-player/dist/bundle/asciinema-player.min.js'), type: js },
} as const

function own(name: string): string {
  return new URL(`assets/${name}`, import.meta.url).href
}

/** Addresses with the content's hash: `/assets/3f2a….curfew.css`. */
export type AssetHrefs = { readonly [Key in keyof typeof files]: string }

export interface Assets {
  readonly hrefs: AssetHrefs
  serveOn(app: WebApp): void
}

/** Reads the few files that pages need, from beside this module and from the player's package, once. */
export function loadAssets(): Assets {
  const loaded = Object.entries(files).map(([key, { url, type }]) => {
    const bytes = readFileSync(new URL(url))
    const name = url.slice(url.lastIndexOf('/') + 1)
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
