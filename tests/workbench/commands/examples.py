"""Commands as people have them. The first three are those that were promised to work."""

FLAG = (
    "python run.py --output_dir output --model_name_or_path BAAI/bge-large-zh-v1.5 --train_data "
    "./toy_finetune_data.jsonl --learning_rate 1e-5 --fp16 --num_train_epochs 5 "
    "--per_device_train_batch_size 2 --dataloader_drop_last True --normlized True --temperature "
    "0.02 --query_max_len 64 --passage_max_len 256 --train_group_size 2 --negatives_cross_device "
    '--logging_steps 10 --query_instruction_for_retrieval "为这个句子生成表示以用于检索相关文章："'
)
EMBEDRAG = (
    'python train.py --model_name_or_path "Alibaba-NLP/gte-Qwen2-1.5B-instruct" --finetune_type '
    "qlora --quantization_bits 4 --train_dataset train_data.jsonl --output_dir "
    "output/qlora_training --batch_size 1 --lr 1e-4 --epochs 3 --neg_nums 2 --temperature 0.02 "
    "--query_max_len 128 --passage_max_len 1000 --save_on_epoch_end 1 --warmup_proportion 0.05"
)
AUTOTRAIN = """task: sentence-transformers:pair
base_model: bge-base-zh-v1.5
project_name: autotrain-pair
log: tensorboard
backend: local
data: {path: data/, train_split: train, valid_split: dev, column_mapping: {sentence1_column: anchor, sentence2_column: positive}}
params: {max_seq_length: 512, epochs: 5, batch_size: 4, lr: 2e-5, optimizer: adamw_torch_fused, scheduler: cosine, gradient_accumulation: 2, mixed_precision: fp16}
"""  # noqa: E501
FLAG_RERANKER = """#!/bin/bash
# two GPUs
export MODEL=BAAI/bge-reranker-base
CUDA_VISIBLE_DEVICES=0,1 torchrun --nproc_per_node 2 \\
    -m FlagEmbedding.finetune.reranker.encoder_only.base \\
    --model_name_or_path $MODEL --train_data ./a.jsonl ./b.jsonl --train_group_size 8 \\
    --query_max_len 256 --passage_max_len 256 --max_len 400 --bf16 --output_dir ./test_rerank \\
    --deepspeed ../ds.json --weight_decay 0.01 --save_steps 1000 --knowledge_distillation True \\
    --frobnicate 3 > log.txt 2>&1 &
"""
FLAG_DECODER = """model_args="\\
    --model_name_or_path Qwen/Qwen2-1.5B --use_lora True --lora_rank 32"
data_args="--train_data $DATA --query_instruction_for_retrieval 'Find it' \\
    --query_instruction_format 'Instruct: {}\\\\nQuery: {}'"
cmd="torchrun --nproc_per_node 2 -m FlagEmbedding.finetune.embedder.decoder_only.base \\
    $model_args $data_args --sentence_pooling_method last_token --knowledge_distillation True"
echo $cmd
eval $cmd
"""
RAG_RERANKER = (
    "accelerate launch --config_file cfg.yaml train_reranker.py --model_name_or_path m "
    "--model_type SeqClassificationRanker --train_dataset t.jsonl --output_dir out --max_len 512 "
    "--batch_size 4 --lr 2e-5 --epochs 2 --loss_type point_ce --mixed_precision no"
)
RAG_COLBERT = (
    "python train_colbert.py --model_name_or_path BAAI/bge-m3 --dataset t.jsonl --neg_nums 5 "
    "--batch_size 2 --colbert_dim 1024 --query_max_len 32 --passage_max_len 300"
)
RETRIEVALS = (
    "python -m retrievals.pipelines.embed --model_name_or_path intfloat/e5-base --train_data "
    "d.jsonl --positive_key pos --negative_key neg --query_instruction 'query: ' "
    "--document_instruction x --query_max_length 30 --document_max_length 200 --pooling_method "
    "mean --use_inbatch_neg False --train_group_size 4 --token hf_secret"
)
