package web

// CloseLogQueue ends the goroutine of a queue that nobody writes to any more.
func CloseLogQueue(q *LogQueue) { close(q.work) }
