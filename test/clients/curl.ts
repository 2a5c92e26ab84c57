/** The real curl. */
import { Program, type ProgramOptions } from './program.ts'

export interface CurlPlace {
  /** PEM file of the authority to trust. */
  readonly caFile: string
  /** Every name below leads to this machine, as `--resolve` has it: `app.gw.test:8443:127.0.0.1`. */
  readonly resolve?: readonly string[]
}

export interface CurlAnswer {
  /** 0 when curl got no answer. */
  readonly status: number
  /** `1.1` or `2`. */
  readonly httpVersion: string
  /** By lower-case name, of the last answer. */
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly body: string
  /** Bytes of the body. */
  readonly bytes: number
  /** What curl ended with: 0, or such as 18 (partial), 56 (reset), 92 (HTTP/2 stream). */
  readonly exit: number | null
  readonly error: string
}

/** Runs until it is killed or done; `body` and the rest of `CurlAnswer` come from `curlAnswer`. */
export function startCurl(place: CurlPlace, args: readonly string[], options?: ProgramOptions): Program {
  const names = (place.resolve ?? []).flatMap((entry) => ['--resolve', entry])
  const report = ['-w', '%{stderr}\nreport %{json}\nheaders %{header_json}']
  return new Program('curl', ['-q', '-sS', '--cacert', place.caFile, ...names, ...report, ...args], options)
}

/** Waits for its end. */
export async function curlAnswer(program: Program): Promise<CurlAnswer> {
  const { status: exit, stdout, stderr } = await program.exited()
  const [, error = '', report = '{}', headers = '{}'] = /^(.*)\nreport (.*?)\nheaders (.*)$/s.exec(stderr) ?? [
    '',
    stderr,
  ]
  const { http_code: status, http_version: httpVersion, size_download: bytes } = JSON.parse(report) as Report
  return {
    ...{ exit, body: stdout, error: error.trim() },
    status: status ?? 0,
    httpVersion: httpVersion ?? '',
    bytes: bytes ?? 0,
    headers: JSON.parse(headers) as CurlAnswer['headers'],
  }
}

export async function curl(place: CurlPlace, args: readonly string[], options?: ProgramOptions): Promise<CurlAnswer> {
  await using program = startCurl(place, args, options)
  return await curlAnswer(program)
}

interface Report {
  readonly http_code?: number
  readonly http_version?: string
  readonly size_download?: number
}
