"""The only home of torch: networks, growth, data, trainer, metrics and export."""
