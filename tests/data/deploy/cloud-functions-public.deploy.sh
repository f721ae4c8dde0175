#!/bin/sh
set -eu
: "${KEY:?set it first}"
exec gcloud functions deploy twinserve-function --gen2 --trigger-http --project my-project --region us-central1 --source source --runtime python311 --entry-point generate --cpu 2 --memory 4Gi --concurrency 8 --min-instances 0 --max-instances 100 --timeout 300s --update-labels managed-by=twinserve,twinserve-target=cloud-functions,twinserve-content=abababababababababababababababab,twinserve-sent=7c6aedef264d6626a36c07ffadeda29c --set-env-vars "^~^KEY=$KEY" --allow-unauthenticated
