import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startServerProgram, type ServerProgram } from './server-program.ts'

/**
 * A real Prometheus that scrapes itself: pages with scripts, and an API. Plain HTTP/1.1.
 * @returns when it has scraped once, so that `up` has an answer.
 */
export async function startPrometheus(): Promise<ServerProgram> {
  const server = await startServerProgram({
    name: 'prometheus',
    command: 'prometheus',
    args: async ({ port, folder }) => {
      const config = join(folder, 'prometheus.yml')
      await writeFile(config, configText(port))
      return [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ]
    },
  })
  try {
    while (!(await hasScraped(server.url))) await sleep(50)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

/** It listens a little before it answers queries. */
async function hasScraped(url: URL): Promise<boolean> {
  const response = await fetch(new URL('/api/v1/query?query=up', url))
  const answer = (await response.json().catch(() => ({}))) as {
    readonly data?: { readonly result: readonly unknown[] }
  }
  return (answer.data?.result.length ?? 0) > 0
}

function configText(port: number): string {
  return `global: { scrape_interval: 1s }
scrape_configs:
  - job_name: itself
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]
`
}
