import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import { metricTable } from '../kernel/metrics.ts'
import type { Metrics } from '../kernel/metrics.ts'

/** Counting that can be read. */
export interface PublishedMetrics extends Metrics {
  /** Everything in the Prometheus text format, version 0.0.4. */
  text(): Promise<string>
}

/** Every metric of the table, from zero, and Node's own (process, memory, event loop). */
export function createMetrics(): PublishedMetrics {
  const registry = new Registry()
  const registers = [registry]
  const counters = new Map<string, Counter<string>>()
  const gauges = new Map<string, Gauge<string>>()
  const histograms = new Map<string, Histogram<string>>()
  for (const [name, row] of Object.entries(metricTable)) {
    const settings = { name, help: row.help, labelNames: [...row.labels], registers }
    if (row.type === 'counter') counters.set(name, new Counter(settings))
    else if (row.type === 'gauge') gauges.set(name, new Gauge(settings))
    else histograms.set(name, new Histogram({ ...settings, buckets: [...row.buckets] }))
  }
  collectDefaultMetrics({ register: registry })
  return {
    add: (name, labels, by = 1) => counters.get(name)!.inc(labels, by),
    set: (name, labels, value) => gauges.get(name)!.set(labels, value),
    forget: (name, labels) => gauges.get(name)!.remove(labels),
    observe: (name, labels, value) => histograms.get(name)!.observe(labels, value),
    text: () => registry.metrics(),
  }
}
