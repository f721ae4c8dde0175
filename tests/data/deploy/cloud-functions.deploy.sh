#!/bin/sh
set -eu
exec gcloud functions deploy twinserve-function --gen2 --trigger-http --project my-project --region us-central1 --source source --runtime python311 --entry-point generate --cpu 1 --memory 4Gi --concurrency 1 --min-instances 0 --max-instances 100 --timeout 300s --update-labels managed-by=twinserve,twinserve-target=cloud-functions,twinserve-content=abababababababababababababababab,twinserve-sent=3ae6924fe738a557738969d01a1a5764 --no-allow-unauthenticated
