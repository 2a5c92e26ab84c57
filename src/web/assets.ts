import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { WebApp } from './context.ts'

const files = {
  css: { name: 'curfew.css', type: 'text/css; charset=utf-8' },
  js: { name: 'curfew.js', type: 'text/javascript; charset=utf-8' },
  icon: { name: 'curfew.svg', type: 'image/svg+xml' },
} as const

export interface Assets {
  /** Addresses with the content's hash: `/assets/3f2a….curfew.css`. */
  readonly hrefs: { readonly css: string; readonly js: string; readonly icon: string }
  serveOn(app: WebApp): void
}

/** Reads the few files that pages need from beside this module, once. */
export function loadAssets(): Assets {
  const loaded = Object.entries(files).map(([key, { name, type }]) => {
    const bytes = readFileSync(new URL(`assets/${name}`, import.meta.url))
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
    return { key, type, bytes, path: `/assets/${hash}.${name}` }
  })
  return {
    hrefs: Object.fromEntries(loaded.map(({ key, path }) => [key, path])) as Assets['hrefs'],
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
