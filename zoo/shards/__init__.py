"""WebDataset tar shards of video and questions: schema, writing, reading, decoding, frame sampling. Free of torch."""
