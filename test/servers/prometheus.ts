import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startServerProgram, type ServerProgram } from './server-program.ts'

/** A real Prometheus that scrapes itself: pages with scripts, and an API. Plain HTTP/1.1. */
export function startPrometheus(): Promise<ServerProgram> {
  return startServerProgram({
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
}

function configText(port: number): string {
  return `global: { scrape_interval: 1s }
scrape_configs:
  - job_name: itself
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]
`
}
