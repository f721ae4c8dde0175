"""What Locust sends for ``make bench-load``."""

from locust import FastHttpUser, constant, task


class Visitor(FastHttpUser):
    wait_time = constant(0)

    @task
    def generate(self) -> None:
        self.client.post(
            "/generate", json={"num_images": 1, "seed": 7}, headers={"Connection": "close"}
        )
